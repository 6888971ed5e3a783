import type { AddCommand } from '../context.js'
import { diff } from './diff.js'
import { get } from './get.js'
import { inspect } from './inspect.js'
import { maintain } from './maintain.js'
import { restore } from './restore.js'
import { scan } from './scan.js'
import { fork, tag, untag } from './tag.js'
import { exportStore, importStore, pull, push } from './transfer.js'
import { verify } from './verify.js'
import { versions } from './versions.js'

/** The commands in the order in which --help lists them; a new one is a file beside these and a name here. */
export const commands: readonly AddCommand[] = [
  inspect,
  versions,
  verify,
  get,
  scan,
  diff,
  restore,
  tag,
  untag,
  fork,
  push,
  pull,
  exportStore,
  importStore,
  maintain,
]
