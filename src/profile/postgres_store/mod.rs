//! Records in a database that speaks PostgreSQL's protocol.

#[cfg(test)]
#[path = "../../../tests/support/postgres.rs"]
mod cluster;
#[cfg(test)]
mod tests;
