/** How the sources are bundled; used by the build and by the measurement of sizes. */
import { builtinModules } from 'node:module'
import { manifest, root } from './entries.mjs'

export const bundleOptions = {
  cwd: root,
  platform: 'neutral',
  resolve: { mainFields: ['module', 'main'], extensionAlias: { '.js': ['.ts', '.js'] } },
  transform: { target: 'es2022' },
  onLog(level, log, handle) {
    // A warning (an import that does not resolve, a cycle of chunks) would otherwise end up in the package.
    handle(level === 'warn' ? 'error' : level, log)
  },
}

export const builtins = [...builtinModules, /^node:/]
/** What is installed beside the package and not bundled into it; peers only by those who use their adapter. */
const beside = { ...manifest.dependencies, ...manifest.peerDependencies }
export const dependencies = Object.keys(beside).map((name) => new RegExp(`^${name}(/|$)`))
