/** Formats the code, or tells with `--check` whether it is formatted. Prose and package.json are left as they are. */
import { tool } from './command.mjs'

const code = ['**/*.{ts,tsx,mjs}', 'demo/web/*.{js,jsx,css,html}', '.ci/*.{mjs,json}', '.ox*rc.json', 'tsconfig.json']
const { ok } = await tool('oxfmt', [...process.argv.slice(2), ...code], { show: true })
process.exitCode = ok ? 0 : 1
