/**
 * The buffer of a run. It is one of its own, so that nobody else commits half of a batch.
 *
 * - Where one handle owns the store, the changes that the program has buffered lie beneath it and go with each commit.
 * - In shared mode a batch is like a transaction. It reads one state from its beginning to its end, and is dropped and made
 *   again when anything else was committed meanwhile. The program's own buffer is neither read nor committed.
 */
import { TidemarkError } from '../errors.js'
import type { Spans } from '../log/spans.js'
import { Memtable } from '../engine/memtable.js'
import type { Turn } from '../log/shard-parts.js'
import type { View } from '../engine/read.js'
import type { ShardState } from '../engine/state.js'
import type { CommitResult } from '../engine/write/requests.js'
import { parseCommit, type CommitOptions } from '../store/changes.js'
import type { StoreHandle } from '../store/handle.js'
import { TransactionHost } from '../store/snapshot.js'
import type { Hold, TableHost } from '../store/table-host.js'

export class OwnBuffer implements TableHost {
  readonly #handle: StoreHandle
  #memtable = new Memtable()
  /** In shared mode: the state and changes of the batch, and the count of commits that it stands on. */
  #batch: { readonly host: TransactionHost; readonly revision: number } | undefined

  constructor(handle: StoreHandle) {
    this.#handle = handle
    this.#begin()
  }

  /** Begins anew, on the state that is known now. */
  #begin(): void {
    const { options, changes } = this.#handle
    this.#batch?.host.end()
    if (options.mode !== 'shared') this.#memtable = new Memtable()
    else this.#batch = { host: new TransactionHost(this.#handle, undefined), revision: changes.revision }
  }

  /** Drops the changes, and those of the program that would go with them. */
  discard(): void {
    if (!this.#batch) this.#handle.discard()
    this.#begin()
  }

  /** The run is over: nothing of it is read any more. */
  end(): void {
    this.#batch?.host.end()
  }

  /**
   * Commits the changes. The buffer is empty afterwards, whatever happens. In shared mode any commit since is a `CONFLICT`. `moved`:
   * the positions of the source where they differ between partitions; `turn`: whose turn it is from then on.
   */
  async commit(
    options: CommitOptions,
    more: { readonly moved?: Spans | undefined; readonly turn?: Turn | undefined },
  ): Promise<void> {
    const { changes } = this.#handle
    const memtable = this.writable()
    const notes = { ...parseCommit(options), ...more }
    if (this.#batch) {
      const isOvertaken = this.isOvertaken
      try {
        if (isOvertaken) throw overtaken(this.#handle)
        await changes.commit(memtable, notes, 'transaction')
      } finally {
        this.#begin()
      }
      return
    }
    this.#memtable = new Memtable()
    if (changes.buffer.empty) return void (await changes.commit(memtable, notes, 'buffer'))
    changes.buffer.absorb(memtable)
    await changes.commitBuffer(notes)
  }

  /** In shared mode: whether something else was committed since the batch began. */
  get isOvertaken(): boolean {
    return this.#batch !== undefined && this.#batch.revision !== this.#handle.changes.revision
  }

  get isEmpty(): boolean {
    return this.#batch ? this.#batch.host.memtable.empty : this.#memtable.empty && this.#handle.changes.buffer.empty
  }

  writable(): Memtable {
    this.#handle.assertWritable()
    return this.#batch ? this.#batch.host.writable() : this.#memtable
  }

  async commitOwn(lay: (memtable: Memtable) => void): Promise<CommitResult> {
    lay(this.writable())
    return { version: this.#handle.state.carried.version, bytes: 0, requests: 0 }
  }

  async transact<T>(change: (host: TableHost) => Promise<T>): Promise<T> {
    this.writable()
    return change(this)
  }

  view(): View {
    if (this.#batch) return this.#batch.host.view()
    this.#handle.assertOpen()
    return this.#handle.shard.view([this.#memtable, this.#handle.changes.buffer])
  }

  get observers(): TableHost['observers'] {
    return this.#handle.observers
  }

  get partitions(): number {
    return this.#handle.partitions
  }

  get own(): TableHost['own'] {
    return this.#handle.own
  }

  get budget(): number {
    return this.#handle.budget - (this.#batch ? 0 : this.#handle.changes.buffer.size)
  }

  monotonic(): number {
    return this.#handle.monotonic()
  }

  now(): number {
    return this.#handle.now()
  }

  catchUp(): Promise<void> {
    return this.#batch ? this.#batch.host.catchUp() : this.#handle.catchUp()
  }

  assertOpen(): void {
    ;(this.#batch?.host ?? this.#handle).assertOpen()
  }

  hold(state: ShardState, waiting?: Promise<unknown>): Hold {
    return (this.#batch?.host ?? this.#handle).hold(state, waiting)
  }

  repair(view: View, error: unknown): Promise<View> {
    return (this.#batch?.host ?? this.#handle).repair(view, error)
  }
}

function overtaken({ options }: StoreHandle): TidemarkError {
  return new TidemarkError('CONFLICT', `Something else was committed to store "${options.name}" meanwhile.`)
}
