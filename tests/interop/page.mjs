// The page of a server and of nodes in headless Chromium, as one who sees, one who hears and one who only types
// find it. Speaks WebDriver with chromedriver; what is wrong ends it with an error.
//
// node page.mjs SERVER_URL NODE_URL CLIENT KEY PORT [PICTURE]

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [serverUrl, nodeUrl, client, key, port, picture] = process.argv.slice(2);
const NAME = "<script>alert(1)</script>";
const folder = mkdtempSync(join(tmpdir(), "page-"));
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Starts the driver; resolves with where it listens. */
async function startDriver() {
  const driver = spawn("chromedriver", ["--port=0"], { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  for await (const chunk of driver.stdout) {
    text += chunk;
    const found = /started successfully on port (\d+)/.exec(text);
    if (found) {
      // Nobody reads the rest.
      driver.stdout.resume();
      return [driver, `http://127.0.0.1:${found[1]}`];
    }
  }
  throw new Error(`chromedriver did not start: ${text}`);
}

async function call(method, url, body) {
  const answer = await fetch(url, { method, body: body && JSON.stringify(body) });
  const { value } = await answer.json();
  if (!answer.ok) throw new Error(`${method} ${url}: ${value.error}: ${value.message}`);
  return value;
}

class Browser {
  static async start(driver, scheme) {
    const args = [
      "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1100,1000",
      `--user-data-dir=${join(folder, scheme)}`,
    ];
    const options = { "goog:chromeOptions": { args }, "goog:loggingPrefs": { browser: "ALL" } };
    const { sessionId } = await call("POST", `${driver}/session`, { capabilities: { alwaysMatch: options } });
    const browser = new Browser();
    browser.at = `${driver}/session/${sessionId}`;
    await browser.devtools("Emulation.setEmulatedMedia", {
      features: [{ name: "prefers-color-scheme", value: scheme }],
    });
    return browser;
  }

  open(url) {
    return call("POST", `${this.at}/url`, { url });
  }

  run(script, ...args) {
    return call("POST", `${this.at}/execute/sync`, { script, args });
  }

  runAsync(script, ...args) {
    return call("POST", `${this.at}/execute/async`, { script, args });
  }

  devtools(cmd, params) {
    return call("POST", `${this.at}/goog/cdp/execute`, { cmd, params });
  }

  /** Waits until a script returns something true: each snapshot may bring it. */
  async until(script, ...args) {
    const found = await this.runAsync(
      `const done = arguments[arguments.length - 1], args = [...arguments].slice(0, -1);
       const test = () => (function () { ${script} })(...args);
       const first = test();
       if (first) return done(first);
       const observer = new MutationObserver(() => {
         const value = test();
         if (value) { observer.disconnect(); done(value); }
       });
       observer.observe(document, { subtree: true, childList: true, characterData: true, attributes: true });`,
      ...args,
    );
    assert.ok(found, script);
    return found;
  }

  async press(value) {
    const actions = [{ type: "key", id: "keys", actions: [{ type: "keyDown", value }, { type: "keyUp", value }] }];
    await call("POST", `${this.at}/actions`, { actions });
  }

  async violations() {
    await this.run(axe);
    const found = await this.runAsync(
      `axe.run(document, { preload: false }).then((result) => arguments[arguments.length - 1](result.violations))`,
    );
    return found.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`);
  }

  /** Writes a picture of the page's upper part, for the README. */
  async screenshot(file) {
    const clip = { x: 0, y: 0, width: 1100, height: 1330, scale: 0.8 };
    const { data } = await this.devtools("Page.captureScreenshot", { captureBeyondViewport: true, clip });
    writeFileSync(file, Buffer.from(data, "base64"));
  }

  /** Returns what the console has of errors: a break of the content security policy among them. */
  async errors() {
    const entries = await call("POST", `${this.at}/se/log`, { type: "browser" });
    return entries.filter((entry) => entry.level === "SEVERE").map((entry) => entry.message);
  }

  end() {
    return call("DELETE", this.at);
  }
}

const identity = ["--json", "--identity", join(folder, "identity"), `--local=${port}`, "--server", key];
const env = { ...process.env, XDG_CACHE_HOME: folder, XDG_CONFIG_HOME: folder };

function profile(...words) {
  const { status, stdout, stderr } = spawnSync(client, [...identity, ...words], { encoding: "utf8", env });
  assert.equal(status, 0, `${words.join(" ")}: ${stdout}${stderr}`);
}

/** Keeps a connection of the profile open. */
function watch() {
  return spawn(client, [...identity, "watch", key], { stdio: "ignore", env });
}

async function serverPage(browser) {
  await browser.open(serverUrl);
  await browser.until(`return document.getElementById("link").textContent === "Live"`);
  assert.equal(await browser.run(`return document.title`), "profile-server");
  const facts = `const list = {};
    for (const term of document.querySelectorAll("dt")) list[term.textContent] = term.nextElementSibling.textContent;`;
  const node = await browser.run(`${facts} return list`);
  assert.equal(node.State, "joined");
  assert.match(node["Address as others see it"], /^127\.0\.0\.1:\d+$/);
  assert.equal(node.NAT, "none: every host reaches this node");
  assert.match(node.Memory, /^[\d.]+ MB$/);

  // Values move.
  const running = await browser.run(`${facts} return list["Running for"]`);
  await browser.until(`${facts} return list["Running for"] !== arguments[0]`, running);
  profile("register", "--name", NAME);
  await browser.until(`${facts} return list.Profiles === "1"`);
  profile("update", "--bio", "x");
  await browser.until(`${facts} return list["Written since the start"] === "2 entries in 2 syncs"`);
  await browser.until(`return document.querySelector("#syncs polyline").getAttribute("points").includes(" ")`);

  // What strangers choose stays text.
  const open = watch();
  try {
    const row = await browser.until(
      `for (const row of document.getElementById("connections").rows)
         if (row.cells[1]?.textContent === arguments[0]) return [...row.cells].map((cell) => cell.textContent);`,
      NAME,
    );
    assert.match(row[0], /^[0-9a-z]+$/);
    assert.equal(row[2], "direct");
    assert.match(row[5], /^[\d.]+ ms$/);
    assert.equal(await browser.run(`return document.querySelectorAll("script").length`), 1);
    const rings = await browser.run(`return document.querySelectorAll("#rings .peer").length`);
    assert.equal(rings, Number((await browser.run(`return document.getElementById("rings").getAttribute("aria-label")`)).split(" ")[0]));
    assert.ok(rings >= 5, `${rings} nodes in the picture`);
    const limits = await browser.run(`return document.querySelectorAll("#limits meter[aria-label]").length`);
    assert.ok(limits >= 6, `${limits} limits`);
    assert.deepEqual(await browser.violations(), []);
    if (picture) {
      await browser.screenshot(picture);
    }
  } finally {
    open.kill();
  }
}

/** Everything that can be used is reached by the tabulator, in the order of the page, and seen to be. */
async function keyboard(browser) {
  await browser.open(nodeUrl);
  await browser.until(`return document.getElementById("link").textContent === "Live"`);
  await browser.until(`return document.getElementById("which").length === 2`);
  await browser.run(`document.activeElement.blur()`);
  const reached = [];
  for (let presses = 0; presses < 12; presses++) {
    await browser.press("\uE004");
    const name = await browser.run(
      `const at = document.activeElement;
       if (at === document.body) return null;
       const { outlineStyle } = getComputedStyle(at);
       return [at.id || at.getAttribute("aria-labelledby") || at.textContent, outlineStyle, at.getBoundingClientRect().top >= -at.scrollHeight];`,
    );
    if (name === null) break;
    assert.equal(name[1], "solid", `the focus on ${name[0]} shows`);
    reached.push(name[0]);
  }
  assert.deepEqual(reached, [
    "Skip to the content", "which", "How other nodes see this one", "c-connections", "c-servers", "/metrics",
  ]);
  // Another node, by its name.
  const local = `return [...document.querySelectorAll("dt")].find((term) => term.textContent === "Local address").nextElementSibling.textContent`;
  const first = await browser.run(local);
  await browser.run(`const which = document.getElementById("which"); which.selectedIndex = 1; which.dispatchEvent(new Event("change"))`);
  await browser.until(`${local} !== arguments[0]`, first);
  assert.deepEqual(await browser.violations(), []);
}

/** On a phone nothing is wider than the screen. */
async function phone(browser) {
  await browser.devtools("Emulation.setDeviceMetricsOverride", { width: 360, height: 700, deviceScaleFactor: 1, mobile: true });
  await browser.open(serverUrl);
  await browser.until(`return document.getElementById("link").textContent === "Live"`);
  const width = await browser.run(`return document.documentElement.scrollWidth`);
  assert.ok(width <= 360, `${width} pixels wide`);
}

const [driver, at] = await startDriver();
try {
  for (const scheme of ["light", "dark"]) {
    const browser = await Browser.start(at, scheme);
    try {
      if (scheme === "light") await serverPage(browser);
      const dark = await browser.run(`return matchMedia("(prefers-color-scheme: dark)").matches`);
      assert.equal(dark, scheme === "dark");
      await keyboard(browser);
      await phone(browser);
      assert.deepEqual(await browser.violations(), []);
      assert.deepEqual(await browser.errors(), []);
    } finally {
      await browser.end();
    }
  }
} finally {
  driver.kill();
  rmSync(folder, { recursive: true, force: true });
}
console.log("done");
