import { builtinModules } from 'node:module'
import { join } from 'node:path'
import { root } from './entries.mjs'

const clockOnly = 'Time, randomness and timers come from the Clock that the code is handed (src/clock.ts).'
const noNode =
  'What is shared runs in browsers and edge functions: Node belongs to its own adapter and the command line.'

const timers = restricted(
  ['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask', 'requestIdleCallback', 'MessageChannel'],
  clockOnly,
)
const timeAndChance = restricted(['performance', 'crypto'], clockOnly)
const nodeGlobals = restricted(['process', 'Buffer'], noNode)

export default {
  options: { typeAware: true, reportUnusedDisableDirectives: 'error' },
  plugins: ['typescript', 'unicorn', 'oxc', 'import', 'promise'],
  categories: { correctness: 'error' },
  env: { builtin: true, node: true },
  rules: {
    'typescript/no-floating-promises': 'error',
    'typescript/no-misused-promises': 'error',
    'typescript/await-thenable': 'error',
    'import/no-cycle': ['error', { ignoreTypes: true }],
    eqeqeq: 'error',
    'no-var': 'error',
    'prefer-const': 'error',
  },
  overrides: [
    {
      files: files('src/**', 'adapters/**'),
      rules: {
        'no-console': 'error',
        'no-restricted-globals': ['error', ...timers, ...timeAndChance, ...nodeGlobals],
        'no-restricted-properties': [
          'error',
          { object: 'Date', property: 'now', message: clockOnly },
          { object: 'Math', property: 'random', message: clockOnly },
          ...[...timers, ...timeAndChance, ...nodeGlobals].map(({ name, message }) => ({
            object: 'globalThis',
            property: name,
            message,
          })),
        ],
        'no-restricted-imports': [
          'error',
          { paths: restricted(builtinModules, noNode), patterns: [{ group: ['node:*'], message: noNode }] },
        ],
        'typescript/no-explicit-any': 'error',
      },
    },
    {
      files: files('src/testing/**'),
      rules: { 'no-restricted-globals': ['error', ...timers, ...timeAndChance, ...nodeGlobals] },
    },
    {
      files: files('src/stream/node.ts', 'adapters/node-fs/**'),
      rules: { 'no-restricted-globals': ['error', ...timers, ...timeAndChance], 'no-restricted-imports': 'off' },
    },
    {
      files: files('src/cli/**'),
      rules: {
        'no-console': 'off',
        'no-restricted-globals': ['error', ...timers, ...timeAndChance],
        'no-restricted-properties': 'off',
        'no-restricted-imports': 'off',
      },
    },
    {
      files: files('src/clock.ts', 'src/storage/platform.ts'),
      rules: { 'no-restricted-globals': 'off', 'no-restricted-properties': 'off' },
    },
  ],
}

/** Absolute, as oxlint looks for relative patterns below the folder of this file. */
function files(...patterns) {
  return patterns.map((pattern) => join(root.replace(/[*?[\]{}!\\]/g, '\\$&'), pattern))
}

function restricted(names, message) {
  return names.map((name) => ({ name, message }))
}
