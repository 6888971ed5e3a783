/** Before each test file on Node: tests that wait for some turns of the event loop are not to wait for files as well. */
import 'tidemark'
import { loadParts } from '../../src/part.js'

await loadParts()
