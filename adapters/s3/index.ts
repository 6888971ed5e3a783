/**
 * State in an S3 bucket, or in a storage that speaks S3 and enforces If-None-Match and If-Match on PUT.
 *
 * - A commit of up to `checkpoint.bytes` is one PUT. A log bears about one commit per round trip.
 * - Several processes may open the same store. A later owner fences the earlier one.
 * - The caller makes the client, with its credentials. The package `@aws-sdk/client-s3` is loaded at the first request.
 */
import { checkFields, invalid, show } from '../../src/errors.js'
import type { Storage } from '../../src/storage/contract.js'
import type { Turns } from '../../src/storage/turns.js'
import { s3Storage } from '../s3-common/objects.js'
import { keyPrefix } from '../s3-common/prefix.js'
import { sharedTurns } from '../s3-common/turns.js'
import { sdkTransport, type S3ClientLike } from './transport.js'

export type { S3ClientLike } from './transport.js'

/** Options of `s3`. */
export interface S3Options {
  /**
   * An `S3Client`. One without any options of its own will do.
   * @when Give it the region, credentials and endpoint of the bucket.
   */
  readonly client: S3ClientLike
  /**
   * The name of the bucket, or the ARN of an access point.
   * @when One bucket may hold many stores.
   */
  readonly bucket: string
  /**
   * Begins all keys, so that the bucket can hold other things, too.
   * @default '': keys begin with the name of a store
   * @when Set it when the bucket holds other things as well.
   */
  readonly prefix?: string | undefined
}

/**
 * How many requests are sent at once. A client has 50 connections by default, and some are left to commits, which do not wait.
 */
const AT_ONCE = 40
const turnsOf = new WeakMap<S3ClientLike, () => Turns>()
const FIELDS = new Set(['client', 'bucket', 'prefix'])

/**
 * A storage in a bucket, which has to exist. Several stores may share it. Nothing is sent before a store is opened.
 *
 * @throws `INVALID_ARGUMENT` for a wrong option
 * @throws `STORAGE_UNSAFE` by `openStore` when it creates a store and the bucket does not enforce conditions
 * @example
 *     const storage = s3({ client: new S3Client({ region: 'eu-central-1' }), bucket: 'my-bucket', prefix: 'state' })
 */
export function s3(options: S3Options): Storage {
  checkFields('s3', options, FIELDS)
  const { client, bucket, prefix } = options
  if (typeof (client as Partial<S3ClientLike> | undefined)?.send !== 'function') {
    throw invalid('s3: client must be an S3Client of @aws-sdk/client-s3: new S3Client({ region }).')
  }
  // The ARN of an access point has a slash.
  if (typeof bucket !== 'string' || !/^(?:arn:.+|[^/\s]+)$/.test(bucket)) {
    throw invalid(`s3: bucket must be its name, not ${show(bucket)}; what keys begin with is the prefix.`)
  }
  let turns = turnsOf.get(client)
  if (turns === undefined) turnsOf.set(client, (turns = sharedTurns(AT_ONCE)))
  return s3Storage(sdkTransport(client, bucket), keyPrefix('s3', prefix), turns)
}
