// A worker that renews leases in a folder, given as its data, on the built package.
import { parentPort, workerData } from 'node:worker_threads'
import { renewInWorker } from 'tidemark/group'
import { nodeFs } from 'tidemark/node-fs'

renewInWorker({ storage: nodeFs(workerData), port: parentPort })
parentPort.postMessage('ready')
