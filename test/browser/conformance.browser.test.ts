import { describe, test } from 'vitest'
import { indexedDb } from 'tidemark/indexeddb'
import { storageSuite } from 'tidemark/testing'
import { freshName } from './storages.js'

describe('indexedDb()', () => storageSuite({ test, create: () => indexedDb(freshName()) }))
