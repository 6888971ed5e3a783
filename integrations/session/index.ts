/** Sessions of web servers, in a table of a store. */
export { expressStore, type ExpressSession, type ExpressStore } from './express.js'
export {
  honoSession,
  type HonoContext,
  type HonoSession,
  type HonoSessionMiddleware,
  type HonoSessionOptions,
  type HonoSessionVariables,
} from './hono.js'
export type { SessionOptions } from './sessions.js'
export type { Backing } from '../common/backing.js'
