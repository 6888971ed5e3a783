/** CSV as RFC 4180 has it, in bytes: where a record ends, and what its fields are. */
import { parse } from 'csv-parse/sync'
import type { FindEnd } from './pieces.js'

const [QUOTE, COMMA, NEWLINE, RETURN] = [0x22, 0x2c, 0x0a, 0x0d]

/** The place in a record at which the next byte stands. */
type Place =
  /** The start of a field. */
  | 'start'
  /** A field without quotes. */
  | 'plain'
  | 'quoted'
  /** Behind a quote within a quoted field. That quote ends the field, unless another one follows. */
  | 'quote'
  /** Behind a carriage return that ends a field. A line feed has to follow, and may not be written yet. */
  | 'return'

/** Finds the ends of records. `malformed` makes the error for bytes that no further ones can put right. */
export function recordEnds(malformed: (why: string) => Error): FindEnd {
  let place: Place = 'start'
  return (chunk, from) => {
    for (let i = from; i < chunk.length; i++) {
      if (place === 'quoted') {
        i = chunk.indexOf(QUOTE, i)
        if (i < 0) return -1
        place = 'quote'
        continue
      }
      const byte = chunk[i]
      if (byte === NEWLINE) {
        place = 'start'
        return i + 1
      }
      if (place === 'return')
        throw malformed('a carriage return in it is not followed by a line feed; lines end in one')
      if (byte === COMMA) place = 'start'
      else if (byte === RETURN) place = 'return'
      else if (byte === QUOTE) {
        if (place === 'plain') throw malformed('a quote stands in a field that does not begin with one')
        place = 'quoted'
      } else if (place === 'quote') throw malformed('something follows the quote that ends a field')
      else place = 'plain'
    }
    return -1
  }
}

/** The fields of a well-formed record that is given without its newline. */
export function fieldsOf(record: string): string[] {
  // Starting the parser takes fifty times as long as splitting.
  if (!record.includes('"')) return record.split(',')
  return parse(record, { relax_column_count: true, record_delimiter: ['\r\n', '\n'] })[0]!
}
