use super::cluster::Cluster;

#[test]
fn a_cluster_loses_nothing_when_it_is_killed() {
    let Some(cluster) = Cluster::start() else { return };
    let database = cluster.database();
    cluster.sql(&database, "CREATE TABLE t (n int); INSERT INTO t VALUES (7)");
    cluster.kill();
    cluster.run();
    assert_eq!(cluster.sql(&database, "SELECT n FROM t"), "7");
    cluster.stop();
    cluster.run();
    assert_eq!(cluster.sql(&database, "SELECT n FROM t"), "7");
    let folder = cluster.folder.clone();
    drop(cluster);
    assert!(!folder.exists());
}
