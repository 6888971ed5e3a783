/**
 * State in an S3 bucket, or in a storage that speaks S3 and enforces If-None-Match and If-Match on PUT.
 *
 * - A commit of up to `checkpoint.bytes` is one PUT. A log bears about one commit per round trip.
 * - Several processes may open the same store; a later owner fences the earlier one.
 * - The client is the caller's, credentials and all; the package `@aws-sdk/client-s3` is loaded at the first request.
 */
import { checkFields, invalid, show } from '../../src/errors.js'
import type { Storage } from '../../src/storage/contract.js'
import type { Turns } from '../../src/storage/turns.js'
import { s3Storage } from '../s3-common/objects.js'
import { keyPrefix } from '../s3-common/prefix.js'
import { sharedTurns } from '../s3-common/turns.js'
import { sdkTransport, type S3ClientLike } from './transport.js'

export type { S3ClientLike } from './transport.js'

export interface S3Options {
  /** An `S3Client`; one without any options of its own will do. */
  readonly client: S3ClientLike
  readonly bucket: string
  /** All keys begin with it, so that a bucket can hold other things too. Default: nothing. */
  readonly prefix?: string | undefined
}

/** A client of the SDK has 50 connections unless it is told otherwise; commits wait for no turn. */
const AT_ONCE = 40
const turnsOf = new WeakMap<S3ClientLike, () => Turns>()
const FIELDS = new Set(['client', 'bucket', 'prefix'])

/** A storage in a bucket, which has to exist; several stores may share it. */
export function s3(options: S3Options): Storage {
  checkFields('s3', options, FIELDS)
  const { client, bucket, prefix } = options
  if (typeof (client as Partial<S3ClientLike> | undefined)?.send !== 'function') {
    throw invalid('s3: client must be an S3Client of @aws-sdk/client-s3: new S3Client({ region }).')
  }
  // An access point is named by its ARN, which has a slash.
  if (typeof bucket !== 'string' || !/^(?:arn:.+|[^/\s]+)$/.test(bucket)) {
    throw invalid(`s3: bucket must be its name, not ${show(bucket)}; what keys begin with is the prefix.`)
  }
  let turns = turnsOf.get(client)
  if (turns === undefined) turnsOf.set(client, (turns = sharedTurns(AT_ONCE)))
  return s3Storage(sdkTransport(client, bucket), keyPrefix('s3', prefix), turns)
}
