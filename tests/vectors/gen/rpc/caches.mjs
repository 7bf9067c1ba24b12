// Caches

import RecordCache from 'record-cache'
import Xache from 'xache'

const out = {}

{
  // record-cache: two generations, an existing fresh record is not replaced
  const rc = new RecordCache({ maxSize: 2, maxAge: 0 })
  rc.add('t', 'k', 'v1')
  rc.add('t', 'k', 'v2')
  const notReplaced = rc.get('t')
  rc._gc()
  const afterOneGc = rc.get('t')
  rc.add('t', 'k', 'v3')
  const replacedFromStale = rc.get('t')
  rc._gc()
  rc._gc()
  const afterTwoMoreGcs = rc.get('t')
  rc.destroy()

  const x = new Xache({ maxSize: 100, maxAge: 0 })
  x.set('k', 1)
  x._gc()
  x.get('k') // promotes
  x._gc()
  const promotedBySurvivingGet = x.has('k')
  x._gc()
  x._gc()
  const goneAfterTwo = !x.has('k')
  x.set('k', 1)
  x._gc()
  x._gc()
  const goneWithoutGet = !x.has('k')

  out.caches = {
    recordCache: { notReplaced, afterOneGc, replacedFromStale, afterTwoMoreGcs },
    xache: { promotedBySurvivingGet, goneAfterTwo, goneWithoutGet }
  }
}

export default out
