import type { z } from 'zod'
import type { ApiError } from '../errors.ts'
import type { Operation } from '../operations/operation.ts'
import type { WireFormat } from '../operations/wire-format.ts'

/** How an API that Corral serves spells what is the same in all of its routes: errors, and the frames of streams that Corral adds. */
export interface Dialect {
  /** E.g. `openai`. */
  readonly name: string
  /** Path prefixes of its API. Errors without a route (401, 404, 405, 429) are in the dialect with the longest prefix of the path. */
  readonly paths: readonly string[]
  /** The JSON body of a failed request's response. */
  errorBody(error: ApiError): object
  /** The schema of `errorBody`, for the OpenAPI document. */
  readonly errorSchema: z.ZodType
  /** Headers of a failed request's response, beside those of the error itself. */
  errorHeaders?(error: ApiError): Readonly<Record<string, string>>
  /** The last frame of a stream that fails. */
  errorEvent(error: ApiError): Uint8Array
  /** A frame that clients ignore, sent while the upstream is silent. */
  readonly heartbeat: Uint8Array
  /** The frame that ends a complete stream, where it carries nothing else. */
  readonly endOfStream?: Uint8Array | undefined
  /** Its own formats of operations, by the operation's name. */
  readonly formats?: Readonly<Record<string, WireFormat>>
}

/** How `dialect` spells an operation. */
export function formatOf(operation: Operation, dialect: Dialect): WireFormat {
  return dialect.formats?.[operation.name] ?? operation.format
}

/** The dialect with the longest prefix of `path`; without one, the first of the list. */
export function dialectOfPath(path: string, dialects: readonly Dialect[]): Dialect {
  let found = dialects[0] as Dialect
  let length = -1
  for (const dialect of dialects) {
    for (const prefix of dialect.paths) {
      if (prefix.length <= length || !path.startsWith(prefix)) continue
      found = dialect
      length = prefix.length
    }
  }
  return found
}
