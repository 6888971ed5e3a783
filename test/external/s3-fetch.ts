import { byFetch } from '../support/s3-clients.js'
import { suitesBy } from './place.js'

suitesBy('s3Fetch()', (place, prefix) => byFetch(place, prefix))
