import { bySdk } from '../support/s3-clients.js'
import { suitesBy } from './place.js'

suitesBy('s3()', bySdk)
