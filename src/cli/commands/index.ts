import type { AddCommand } from '../context.js'
import { exportStore, importStore } from './archive.js'
import { backups } from './backups.js'
import { destroy } from './destroy.js'
import { diff } from './diff.js'
import { get } from './get.js'
import { inspect } from './inspect.js'
import { maintain } from './maintain.js'
import { merge, rescale, split } from './rescale.js'
import { restore } from './restore.js'
import { scan } from './scan.js'
import { shards } from './shards.js'
import { stores } from './stores.js'
import { fork, tag, untag } from './tag.js'
import { pull, push } from './transfer.js'
import { verify } from './verify.js'
import { versions } from './versions.js'
import { put, remove } from './write.js'

/** The commands in the order in which --help lists them; a new one is a file beside these and a name here. */
export const commands: readonly AddCommand[] = [
  stores,
  inspect,
  versions,
  verify,
  get,
  scan,
  diff,
  put,
  remove,
  restore,
  tag,
  untag,
  fork,
  push,
  pull,
  backups,
  exportStore,
  importStore,
  shards,
  split,
  merge,
  rescale,
  maintain,
  destroy,
]
