#!/usr/bin/env node
import { run } from './run.js'

// The SDK's advice on versions of Node is for those who develop with it; stderr is for what this command has to say.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true'

// The exit code is left for later: exit() would cut off what is still on its way into a pipe.
process.exitCode = await run(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  cwd: process.cwd(),
})
