/**
 * Sessions of an Express app in files: they outlive a restart and a crash of the server, end by themselves, and need no server
 * beside this one. `npm install express express-session` beside Tidemark.
 *
 *     node demo/session-store.mjs ./state 3000
 *     curl -c jar -b jar http://127.0.0.1:3000/     says how often you were there
 */
import express from 'express'
import session from 'express-session'
import { openStore } from 'tidemark'
import { nodeFs } from 'tidemark/node-fs'
import { expressStore } from 'tidemark/session'

const [folder = './state', port = '3000'] = process.argv.slice(2)
const HALF_AN_HOUR = 30 * 60_000

const store = await openStore({ storage: nodeFs(folder), name: 'web' })
const app = express()
app.use(
  session({
    store: expressStore(session, store),
    secret: process.env.SESSION_SECRET ?? 'change me',
    resave: false,
    saveUninitialized: false,
    // A session lives for so long after its last request: `touch()` writes no more than that.
    rolling: true,
    cookie: { maxAge: HALF_AN_HOUR },
  }),
)
app.get('/', (request, response) => {
  /** @type {any} What a session has is the program's own to say. */
  const visitor = request.session
  visitor.visits = (visitor.visits ?? 0) + 1
  response.send(`visit ${visitor.visits}\n`)
})
app.post('/sign-in', (request, response, next) => {
  // Another id: one from before signing in is worth nothing.
  request.session.regenerate((error) => (error ? next(error) : response.send('signed in\n')))
})
app.post('/sign-out', (request, response, next) => {
  request.session.destroy((error) => (error ? next(error) : response.send('signed out\n')))
})

const server = app.listen(Number(port), '127.0.0.1', () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  console.log(`listening on http://127.0.0.1:${port}`)
})
process.once('SIGTERM', () => server.close(() => void store.close()))
