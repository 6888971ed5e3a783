import { test } from 'vitest'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nodeFs } from '/work/main/adapters/node-fs/index.js'
import { storageSuite } from '/work/main/src/testing/storage-suite.js'
storageSuite({ test, create: () => nodeFs(mkdtempSync(join(tmpdir(), 'tm-'))) })
