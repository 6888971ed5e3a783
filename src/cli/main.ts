#!/usr/bin/env node
import { run } from './run.js'

// Silences the SDK's advice on versions of Node: it is for those who develop with the SDK, and stderr is this command's.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true'

// exit() would cut off output that is still on its way into a pipe, so the exit code is only set.
process.exitCode = await run(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  cwd: process.cwd(),
})
