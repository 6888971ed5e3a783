/** Before each test file on Node: tests that wait for some turns of the event loop are not to wait for files as well. */
import 'tidemark'
import { loadParts } from '../../src/part.js'

await loadParts()

// Stores warn on the console where a test gives them no logger. Vitest would send each warning to the process that started it.
console.warn = () => undefined
console.error = () => undefined
