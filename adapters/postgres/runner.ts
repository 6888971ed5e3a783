/**
 * Sends statements: makes the tables when they are missing, sends again what was surely not carried out, and judges what failed.
 *
 * - Tables are missed by the statement that needs them, so that a database that has them costs nothing.
 * - Where the isolation of transactions is stricter than PostgreSQL's default, or two wait for each other, the server refuses one of
 *   them, which has changed nothing. It is sent again.
 */
import type { Answer, CallOptions, Outcome } from '../../src/storage/contract.js'
import { Failure, send, stateOf, type Line } from './client.js'
import { failed, isUncertain, notDurable } from './errors.js'
import type { Statements } from './statements.js'

export type Row = Readonly<Record<string, unknown>>

const MISSING = '42P01'
const REFUSED_FOR_NOW = new Set(['40001', '40P01'])
/** Others were quicker to make a table, a schema, or the types of either. */
const MADE_BY_OTHERS = new Set(['23505', '42P06', '42P07', '42710', 'XX000', ...REFUSED_FOR_NOW])
const NO_RIGHT_TO_MAKE = new Set(['42501', '25006'])
const TRIES = 20

export class Runner {
  readonly #line: Line
  readonly #statements: Statements
  #making: Promise<unknown> | undefined

  constructor(line: Line, statements: Statements) {
    this.#line = line
    this.#statements = statements
  }

  /** Runs a statement that may be repeated. There is one row at least. `doing` ends "could not …". */
  run(doing: string, text: string, values: unknown[], options: CallOptions | undefined): Promise<readonly Row[]> {
    return this.#told(doing, this.#try(text, values, options?.signal, false))
  }

  /** Runs one that changes nothing. Tables that are missing, and may not be made, hold nothing. */
  read(doing: string, text: string, values: unknown[], options: CallOptions | undefined): Promise<readonly Row[]> {
    return this.#told(doing, this.#try(text, values, options?.signal, true))
  }

  /** Runs a create or a swap, which is done where `outcomeOf` its row is. */
  async decide(
    doing: string,
    text: string,
    values: unknown[],
    options: CallOptions | undefined,
    outcomeOf: (row: Row) => Outcome,
  ): Promise<Outcome & Answer> {
    let row: Row
    try {
      row = (await this.#try(text, values, options?.signal, false))[0]!
    } catch (error) {
      const failure = error as Failure
      const cause = failed(doing, failure)
      if (!isUncertain(failure)) throw cause
      return { outcome: 'unknown', settle: true, cause }
    }
    if (!is(row['durable'])) throw notDurable()
    return { ...outcomeOf(row), time: timeOf(row) }
  }

  #told<T>(doing: string, answer: Promise<T>): Promise<T> {
    return answer.catch((failure: Failure) => {
      throw failed(doing, failure)
    })
  }

  async #try(
    text: string,
    values: unknown[],
    signal: AbortSignal | undefined,
    isRead: boolean,
  ): Promise<readonly Row[]> {
    for (let tries = 1; ; tries++) {
      try {
        return await send(this.#line, text, values, signal)
      } catch (error) {
        const state = stateOf((error as Failure).cause)
        if (tries === TRIES || !(state === MISSING || REFUSED_FOR_NOW.has(state ?? ''))) throw error
        if (state === MISSING && !(await this.#make(isRead))) return send(this.#line, this.#statements.now, [], signal)
      }
    }
  }

  /** Makes the tables, once for all calls that wait for it. Returns whether they are there. */
  async #make(mayLack: boolean): Promise<boolean> {
    try {
      await (this.#making ??= this.#makeTables().finally(() => (this.#making = undefined)))
      return true
    } catch (error) {
      const { cause } = error as Failure
      if (mayLack && NO_RIGHT_TO_MAKE.has(stateOf(cause) ?? '')) return false
      // Whatever became of the tables, the statement that needs them has changed nothing.
      throw new Failure(cause, false)
    }
  }

  async #makeTables(): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        await send(this.#line, this.#statements.make, [], undefined)
        return
      } catch (error) {
        if (tries === TRIES || !MADE_BY_OTHERS.has(stateOf((error as Failure).cause) ?? '')) throw error
      }
    }
  }
}

export function timeOf(row: Row): number {
  return Number(row['time'])
}

/** Whether a condition holds, which the statements answer as 1 or 0. */
export function is(value: unknown): boolean {
  return Number(value) === 1
}
