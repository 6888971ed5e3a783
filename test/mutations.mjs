/**
 * For each rule of docs/protocol.md, edits of the sources that leave it out (.ci/mutations.mjs makes them, on a copy). The test of
 * the rule, which has its number in the title, has to fail on that copy; test/protocol.test.ts holds that there is one.
 *
 * @typedef {{ file: string, find: string, replace: string }} Change
 * @type {Record<string, { rule: string, edits: readonly Change[] }>}
 */
export const mutations = {
  foldStart: {
    rule: 'R1',
    edits: [
      change(
        'src/engine/compaction/compactor.ts',
        'get edits(): readonly Edit[] {',
        `get edits(): readonly Edit[] {
    const fold = this.#ready.get('fold')
    if (fold) this.#ready.set('fold', { ...fold, from: this.#shard.state.manifest.covers })`,
      ),
      change(
        'src/engine/compaction/compactor.ts',
        'const fits = applyEdit(this.#shard.state.manifest, edit) !== undefined',
        'const fits = true',
      ),
      change('src/engine/compaction/compactor.ts', 'this.#drop((edit) => applyEdit(after, edit) === undefined)', ''),
    ],
  },
  mergeFits: {
    rule: 'R2',
    edits: [change('src/manifest/edits.ts', 'if (edit.bottom && first > 0) return undefined', '')],
  },
  coversFalls: {
    rule: 'R3',
    edits: [change('src/engine/entry-builder.ts', 'if (!reset && manifest.covers < before.covers) {', 'if (false) {')],
  },
  resetCovers: {
    rule: 'R4',
    edits: [
      change(
        'src/engine/entry-builder.ts',
        'config: state.manifest.config, covers: n - 1 }',
        'config: state.manifest.config }',
      ),
    ],
  },
  offsetsOfChosen: {
    rule: 'R5',
    edits: [change('src/engine/history/reset.ts', 'if (chosen.has(partition!) === isChosen) positions', 'positions')],
  },
  carriesOffsets: {
    rule: 'R6',
    edits: [
      change(
        'src/engine/entry-builder.ts',
        'offsets: change.offsets ?? before.offsets',
        'offsets: change.offsets ?? new Map()',
      ),
    ],
  },
  joinedInOrder: {
    rule: 'R7',
    edits: [
      change(
        'src/engine/memtable.ts',
        'this.deleteRanges(slot, codec, ranges)\n      for (const [key, point] of points) this.set(slot, codec, key, point)',
        'for (const [key, point] of points) this.set(slot, codec, key, point)\n      this.deleteRanges(slot, codec, ranges)',
      ),
    ],
  },
  timeRises: {
    rule: 'R8',
    edits: [
      change(
        'src/engine/entry-builder.ts',
        'const time = Math.max(before.time, change.time)',
        'const time = change.time',
      ),
      change(
        'src/engine/write/committer.ts',
        'Math.max(this.#host.state.carried.time, currentTime(this.#ctx, this.#log))',
        'currentTime(this.#ctx, this.#log)',
      ),
    ],
  },
  expiredHides: {
    rule: 'R9',
    edits: [
      change(
        'src/engine/compaction/run-writer.ts',
        'return oldest && left.bytes === undefined ? undefined : left',
        'return left.bytes === undefined ? undefined : left',
      ),
    ],
  },
  spareFold: {
    rule: 'R11',
    edits: [
      change(
        'src/engine/gc/retention.ts',
        'n < kept.carried!.manifestAt && carried',
        'n <= kept.carried!.n && carried',
      ),
    ],
  },
  resetIsCompared: {
    rule: 'R12',
    edits: [change('src/store/watch.ts', 'to.manifest.covers <= from.head && (to.resetAt ?? 0) <= from.head', 'true')],
  },
  oneInFlight: {
    rule: 'R13',
    edits: [change('src/engine/write/committer.ts', 'this.#running ??= this.#run()', 'this.#running = this.#run()')],
  },
  readBack: {
    rule: 'R14',
    edits: [
      change(
        'src/log/append.ts',
        "sameWrite(found, entry) ? { outcome: 'committed', time: undefined } : { outcome: 'lost' }",
        "{ outcome: 'lost' }",
      ),
    ],
  },
  unknownEnds: {
    rule: 'R15',
    edits: [
      change(
        'src/engine/write/committer.ts',
        'const written = new Set(sent && unknown ? this.queue.inFlight : [])',
        'const written = new Set()',
      ),
      change(
        'src/engine/write/committer.ts',
        "(error.code !== 'UNKNOWN_OUTCOME' && error.code !== 'FENCED')",
        "error.code !== 'FENCED'",
      ),
    ],
  },
  transactionFalls: {
    rule: 'R17',
    edits: [
      change(
        'src/engine/write/contention.ts',
        'if (request.stands(isLate) &&',
        'if ((isOwn || request.stands(isLate)) &&',
      ),
    ],
  },
  blindOnly: {
    rule: 'R18',
    edits: [
      change(
        'src/engine/write/contention.ts',
        'if (request.stands(isLate) &&',
        'if ((!isOwn || request.stands(isLate)) &&',
      ),
    ],
  },
  offsetsFall: {
    rule: 'R19',
    edits: [change('src/store/changes.ts', 'const withOffsets = parts.offsets.size > 0', 'const withOffsets = false')],
  },
  fallTogether: {
    rule: 'R20',
    edits: [change('src/engine/write/committer.ts', 'other === job || (!isAlone && other.isVersion)', 'other === job')],
  },
  otherMode: { rule: 'R21', edits: [change('src/engine/open/catch-up.ts', 'if (!isTaken) return', 'return')] },
  claimsAgain: {
    rule: 'R22',
    edits: [change('src/engine/open/claim.ts', 'export const CLAIM_TRIES = 8', 'export const CLAIM_TRIES = 1')],
  },
  randomId: {
    rule: 'R23',
    edits: [
      change('src/engine/open/create.ts', 'logId ?? ctx.clock.random(ID_BYTES)', 'logId ?? new Uint8Array(ID_BYTES)'),
    ],
  },
  anchorRises: {
    rule: 'R24',
    edits: [change('src/log/anchor.ts', '{ ...hint, trim: Math.max(a.trim, b.trim), time', '{ ...b, time')],
  },
  headRule: {
    rule: 'R25',
    edits: [
      change('src/engine/open/catch-up.ts', 'if (anchor.trim < state.head)', 'if (true)'),
      change('src/engine/open/recovery.ts', 'const isHead = value.trim < state.head', 'const isHead = true'),
      change('src/engine/open/claim.ts', 'if (anchor.trim >= fence.entry.n) return undefined', ''),
    ],
  },
  rereadTrim: {
    rule: 'R26',
    edits: [
      change(
        'src/engine/moment.ts',
        'if (free?.storage === undefined',
        'return false\n  if (free?.storage === undefined',
      ),
    ],
  },
  storageClock: {
    rule: 'R27',
    edits: [
      change(
        'src/engine/moment.ts',
        `if (free?.storage === undefined || answered.storage === undefined) return true
  return answered.storage - free.storage > graceMs / 2`,
        `if (free === undefined) return true
  return answered.local - free.local > graceMs / 2`,
      ),
    ],
  },
  trimmedIsUnknown: {
    rule: 'R28',
    edits: [
      change('src/engine/write/send.ts', "'UNKNOWN_OUTCOME',\n    `Writing version", "'FENCED',\n    `Writing version"),
    ],
  },
  looksForLogs: {
    rule: 'R29',
    edits: [
      change(
        'src/engine/open/lost-log.ts',
        'const value = await anchorOf(ctx, anchor, own)',
        'const value = undefined',
      ),
    ],
  },
  anchorFirst: {
    rule: 'R30',
    edits: [
      change(
        'src/engine/gc/collector.ts',
        'let isRaised = numbers.length === 0 || (await this.#raiseTrim(trim, carried))',
        'let isRaised = true',
      ),
    ],
  },
  trimsToCovers: {
    rule: 'R31',
    edits: [
      change(
        'src/engine/gc/retention.ts',
        'trim: Math.max(before.trim, spare?.carried?.covers ?? 0)',
        'trim: Math.max(before.trim, kept.n - 1)',
      ),
    ],
  },
  collectEntry: {
    rule: 'R32',
    edits: [
      change(
        'src/engine/gc/collector.ts',
        'return { deleted, plan, waiting }',
        `if (plan) await this.#ctx.storage.blobs.delete(plan.ids.map((id) => segmentName(this.#log.path, id)))
    return { deleted, plan: undefined, waiting }`,
      ),
    ],
  },
  condemnFirst: {
    rule: 'R33',
    edits: [
      change(
        'src/engine/gc/collector.ts',
        'pending.filter(({ time }) => time + this.#ctx.graceMs <= now)',
        'pending.filter(() => true)',
      ),
    ],
  },
  pinLooks: {
    rule: 'R35',
    edits: [
      change('src/engine/history/pin-version.ts', ': await isKept(ctx, log, now, Math.max(version, keeps))', ': true'),
    ],
  },
  pinsHold: {
    rule: 'R36',
    edits: [
      change(
        'src/engine/gc/collector.ts',
        'for (const pin of pins) for (const { name } of',
        'if (false) for (const pin of pins) for (const { name } of',
      ),
    ],
  },
  forksHold: {
    rule: 'R38',
    edits: [change('src/tools/stores.ts', 'if (!isTombstone(bytes)) await assertNotForked(ctx, paths, force)', '')],
  },
  freshFiles: {
    rule: 'R41',
    edits: [
      change(
        'adapters/node-fs/log/cleanup.ts',
        'for (const name of unneeded) await discard(directory.fs, directory.place(name))',
        `for (const name of unneeded) {
    if (!files.includes(name)) await discard(directory.fs, directory.place(name))
    else await directory.fs.rename(directory.place(name), directory.temporary(top.g) + '.spare')
  }`,
      ),
      change(
        'adapters/node-fs/log/writer.ts',
        "const fd = await fs.open(temporary, 'create')",
        `const spare = (await directory.list()).names.find((name) => name.endsWith('.spare'))
    if (spare !== undefined) await fs.rename(directory.place(spare), temporary)
    const fd = await fs.open(temporary, spare === undefined ? 'create' : 'update')`,
      ),
    ],
  },
  rewriteTail: {
    rule: 'R42',
    edits: [
      change(
        'adapters/node-fs/log/generation.ts',
        'const begin = Math.min(from, this.#settledBefore + 1, source.proven + 1, latest)',
        'const begin = latest',
      ),
    ],
  },
  syncBeforeName: {
    rule: 'R43',
    edits: [
      change(
        'adapters/node-fs/log/writer.ts',
        'await writeZeros(directory, fd, size, room)\n      await fs.fdatasync(fd)',
        'await writeZeros(directory, fd, size, room)',
      ),
      change(
        'adapters/node-fs/log/writer.ts',
        'this.#isNamed = true\n    await this.#directory.sync()',
        'this.#isNamed = true\n    await this.#directory.sync()\n    await this.#directory.fs.fdatasync(this.#fd)',
      ),
    ],
  },
  checkAfterWrite: {
    rule: 'R44',
    edits: [
      change(
        'adapters/node-fs/log/owner.ts',
        'pending = await own.write(',
        `const early = await this.#check(n, written)
      if (early !== COMMITTED) return early
      pending = await own.write(`,
      ),
      change(
        'adapters/node-fs/log/owner.ts',
        'const outcome = await this.#check(n, written)',
        'const outcome = COMMITTED',
      ),
    ],
  },
  newestDecides: {
    rule: 'R45',
    edits: [
      change(
        'adapters/node-fs/log/owner.ts',
        'const isDecisive = before.files.at(-1)?.g === listing.newest',
        'const isDecisive = true',
      ),
    ],
  },
  ownMarker: {
    rule: 'R46',
    edits: [
      change(
        'adapters/node-fs/log/cleanup.ts',
        "leftovers(listing.names, top.g, 'owner')",
        "leftovers(listing.names, Infinity, 'owner')",
      ),
    ],
  },
  becomesPast: {
    rule: 'R47',
    edits: [
      change(
        'adapters/node-fs/log/cleanup.ts',
        'await directory.fs.rename(directory.place(name), directory.place(pastName(name))).catch(noneIfAbsent)',
        '',
      ),
    ],
  },
  markerSays: {
    rule: 'R48',
    edits: [
      change(
        'adapters/node-fs/log/generation.ts',
        'mark(g, { settled, proven })',
        'mark(g, { settled: 0, proven: 0 })',
      ),
    ],
  },
  seededRecords: {
    rule: 'R49',
    edits: [
      change(
        'adapters/node-fs/log/format.ts',
        'crc32c(into.subarray(4, size), idSeed)',
        'crc32c(into.subarray(4, size))',
      ),
      change(
        'adapters/node-fs/log/format.ts',
        'crc32c(record.subarray(4, head.size), idSeed)',
        'crc32c(record.subarray(4, head.size))',
      ),
    ],
  },
  claimedAhead: {
    rule: 'R50',
    edits: [
      change(
        'adapters/node-fs/log/file.ts',
        'const whole = this.#offsets.length > 0 && this.#claimed <= this.last\n        if (whole && !(search && (await this.#isClaimedAhead(fd)))) break',
        'if (search || this.#offsets.length > 0) break',
      ),
    ],
  },
  syncOnce: {
    rule: 'R51',
    edits: [
      change(
        'adapters/node-fs/log/writer.ts',
        'if (sync) await this.#directory.fs.fdatasync(this.#fd)',
        'if (sync) await this.#directory.fs.fdatasync(this.#fd).catch(() => this.#directory.fs.fdatasync(this.#fd))',
      ),
    ],
  },
  syncsBeforeDelete: {
    rule: 'R52',
    edits: [change('src/engine/gc/collector.ts', "if (this.#ctx.durability === 'relaxed') await log.sync()", '')],
  },
  settledOnly: {
    rule: 'R53',
    edits: [
      change(
        'adapters/node-fs/log/view.ts',
        'return now.newest === newest && now.names.includes(top.name) ? { settled, proven } : undefined',
        'return { settled, proven }',
      ),
    ],
  },
  newNames: {
    rule: 'R55',
    edits: [
      change(
        'src/transfer/receiver.ts',
        'const copy = { ...segment, id, log, name: segmentName(log, id) }',
        'const copy = { ...segment, log, name: segmentName(log, segment.id) }',
      ),
    ],
  },
  needsSyncPoint: {
    rule: 'R56',
    edits: [change('src/transfer/ancestry.ts', "'forward' : 'diverged'", "'forward' : 'forward'")],
  },
  cutsUp: { rule: 'R57', edits: [change('src/manifest/ref.ts', 'cut[i]!++', '')] },
  tailEnds: {
    rule: 'R58',
    edits: [change('src/engine/compaction/scheduler.ts', 'if (over >= PATIENCE) throw error', '')],
  },
}

function change(file, find, replace) {
  return { file, find, replace }
}
