import { z } from 'zod'

/** A file of a `multipart/form-data` body, on disk until the request has been handled. */
export abstract class UploadedFile {
  /** Where it is until the request has been handled; then it is deleted. */
  abstract readonly path: string
  /** Bytes. */
  abstract readonly size: number
  /** As the caller named it, without folders; only for people: it never becomes part of a path. */
  abstract readonly filename: string
  /** The media type that the caller gave, lower case, e.g. `text/plain`. */
  abstract readonly type: string
  /** Its bytes, read on demand. */
  abstract stream(): ReadableStream<Uint8Array>
  /** Keeps it as another file, whose folder must exist. */
  abstract moveTo(path: string): Promise<void>
}

/** A field of a form that is a file: a part that has a filename. */
export function uploadedFile(description = 'A file.') {
  return z
    .custom<UploadedFile>((value) => value instanceof UploadedFile, 'it must be a file, sent as a part with a filename')
    .meta({ type: 'string', format: 'binary', description })
}
