/**
 * The statements, and the tables that they are about. Data is always given as parameters; the names of tables are checked
 * (`tablesIn`) and quoted.
 *
 * Each statement is a transaction by itself, and answers the server's time in every row that it returns: in one at least.
 */
import { invalid, show } from '../../src/errors.js'

/** Where the tables are. */
export interface Place {
  readonly schema: string | undefined
  readonly prefix: string
}

/** What PostgreSQL takes without quotes, and so short that the names of tables fit. */
const NAME = /^[a-z_][a-z0-9_]{0,47}$/

export function checkName(what: string, name: unknown): void {
  if (typeof name === 'string' && NAME.test(name)) return
  throw invalid(`postgres: ${what} must be 1 to 48 of a-z, 0-9 and _, and begin with no digit, not ${show(name)}.`)
}

const TIME = 'floor(extract(epoch from clock_timestamp()) * 1000)::float8 as time'
const NOW = `(select ${TIME}) as now`
/** Without it a commit is answered before it is durable. */
const DURABLE = `current_setting('synchronous_commit') <> 'off'`
/** Numbers are read alike whatever the program has told pg of types. */
const IS_DURABLE = `(${DURABLE})::int as durable`

export type Statements = ReturnType<typeof statementsOn>

export function statementsOn({ schema, prefix }: Place) {
  const table = (name: string): string => `${schema === undefined ? '' : `"${schema}".`}"${prefix}${name}"`
  const [entries, anchors, blobs] = [table('log'), table('anchors'), table('blobs')]
  const makeSchema = `if to_regnamespace('"${schema}"') is null then create schema "${schema}"; end if;`

  return {
    now: `select ${TIME}`,
    settings: `select ${TIME}, ${IS_DURABLE}, pg_is_in_recovery()::int as standby,
      (current_setting('transaction_read_only') = 'on')::int as readonly`,
    notify: `select pg_notify($1::text, $2::text)`,

    /** Segments and changes are compressed already. Stored as they are, a part of one is read without the rest. */
    make: `do $make$ begin
      ${schema === undefined ? '' : makeSchema}
      create table if not exists ${entries} (
        path text collate "C" not null, n bigint not null, bytes bytea not null, primary key (path, n));
      create table if not exists ${anchors} (
        path text collate "C" primary key, token text, trim bigint not null, bytes bytea);
      create table if not exists ${blobs} (
        name text collate "C" primary key, made timestamptz not null default clock_timestamp(), bytes bytea not null);
      alter table ${entries} alter column bytes set storage external;
      alter table ${blobs} alter column bytes set storage external;
    end $make$`,

    /**
     * The number of the anchor is read under a lock that a swap has to wait for, so that no entry is created that was trimmed, and
     * removed, since the statement began. An anchor that is not there cannot be locked: a row without bytes stands for it.
     */
    append: `with guard as (select a.trim from ${anchors} a where a.path = $1::text for share),
      made as (
        insert into ${anchors} as a (path, trim) select $1::text, 0 where not exists (select 1 from guard)
        on conflict (path) do update set trim = a.trim returning a.trim),
      entry as (
        insert into ${entries} (path, n, bytes) select $2::text, $3::bigint, $4::bytea
        from (select trim from guard union all select trim from made) g where g.trim < $3::bigint and ${DURABLE}
        on conflict do nothing returning n)
      select ${TIME}, (exists (select 1 from entry))::int as done, ${IS_DURABLE},
        (select count(pg_notify($5::text, $6::text)) from entry where $5::text <> '') as told`,
    read: `select now.time, e.bytes from ${NOW} left join ${entries} e on e.path = $1::text and e.n = $2::bigint`,
    tail: `select now.time, t.n, t.bytes, t.next from ${NOW} left join (
        select n, bytes, lead(n) over (order by n) as next, row_number() over (order by n) as place,
          sum(octet_length(bytes)) over (order by n) - octet_length(bytes) as before
        from (select n, bytes from ${entries} where path = $1::text and n >= $2::bigint order by n limit $3::bigint + 1) ahead
      ) t on t.place = 1 or (t.before < $4::bigint and t.place <= $3::bigint) order by t.n`,
    numbers: `select now.time, e.n from ${NOW} left join (
        select n from ${entries} where path = $1::text and n >= $2::bigint order by n limit $3::bigint
      ) e on true order by e.n`,
    remove: `with gone as (delete from ${entries} where path = $1::text and n = any ($2::bigint[])) select ${TIME}`,
    destroy: `with gone as (delete from ${entries} where path = $1::text),
      placeholder as (delete from ${anchors} where path = $2::text and bytes is null) select ${TIME}`,
    /** Goes from one path to the next by the index, however many entries each has. */
    logs: `with recursive paths(path) as (
        (select path from ${entries} where path >= $1::text and path < $2::text order by path limit 1)
        union all
        select (select e.path from ${entries} e where e.path > p.path and e.path < $2::text order by e.path limit 1)
        from paths p where p.path is not null)
      select now.time, p.path from ${NOW} left join paths p on p.path is not null order by p.path`,

    readAnchor: `select now.time, a.bytes, a.token from ${NOW} left join ${anchors} a on a.path = $1::text`,
    createAnchor: `with swapped as (
        insert into ${anchors} as a (path, token, bytes, trim)
        select $1::text, gen_random_uuid()::text, $2::bytea, $3::bigint where ${DURABLE}
        on conflict (path) do update set token = excluded.token, bytes = excluded.bytes, trim = excluded.trim
        where a.bytes is null returning token)
      select ${TIME}, (select token from swapped) as token, ${IS_DURABLE}`,
    swapAnchor: `with swapped as (
        update ${anchors} set token = gen_random_uuid()::text, bytes = $2::bytea, trim = $3::bigint
        where path = $1::text and token = $4::text and ${DURABLE} returning token)
      select ${TIME}, (select token from swapped) as token, ${IS_DURABLE}`,
    removeAnchor: `with gone as (delete from ${anchors} where path = $1::text) select ${TIME}`,

    put: `insert into ${blobs} (name, bytes) values ($1::text, $2::bytea)
      on conflict (name) do update set bytes = excluded.bytes, made = excluded.made returning ${TIME}`,
    get: `select now.time, b.bytes from ${NOW} left join ${blobs} b on b.name = $1::text`,
    range: `select now.time, substring(b.bytes from $2::int + 1 for $3::int) as bytes
      from ${NOW} left join ${blobs} b on b.name = $1::text`,
    list: `select now.time, b.* from ${NOW} left join (
        select name, octet_length(bytes) as size, floor(extract(epoch from made) * 1000)::float8 as made
        from ${blobs} where name >= $1::text and name < $2::text and name > $3::text order by name limit $4::bigint
      ) b on true order by b.name`,
    delete: `with gone as (delete from ${blobs} where name = any ($1::text[])) select ${TIME}`,
  } as const
}
