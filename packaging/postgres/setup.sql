-- The role and the database of profile servers, made once by the administrator of the database:
--
--   psql --set=password="$(cat password)" --file=setup.sql
--
-- The first server makes the tables. docs/operations.md describes what else a database needs.
CREATE ROLE profile_server LOGIN PASSWORD :'password';
CREATE DATABASE profiles OWNER profile_server;
