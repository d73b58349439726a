import type { Requirements } from './requirement.ts'

/** Forms, bytes and resources (docs/adding-a-resource.md). */
export const resources: Requirements = {
  'MPT-1': {
    source: 'design §5; state-notes §8',
    when: 'a multipart/form-data body is sent',
    observed: 'its fields are read as the schema says, its files are on disk with their names in any script, as OpenAI’s client sends them',
  },
  'MPT-2': {
    source: 'design §6',
    when: 'a form misses a field, exceeds a limit, or is none',
    observed: '400, 413 or 415 in the error envelope, with the field and the limit',
  },
  'MPT-3': {
    source: 'issue "One resource kit"',
    when: 'a request with files ends: handled, refused, or left by its caller',
    observed: 'nothing of it is left on disk, nothing runs',
  },
  'MPT-4': { source: 'design §6', when: 'a form stops coming', observed: 'a 408, and nothing is left on disk' },
  'MPT-5': {
    source: 'issue "One resource kit"; RFC 7578',
    when: 'forms of any content arrive in any pieces, cut off, or with hostile bytes',
    observed: 'they are read as they were written or are a 400; names reach no prototype and no path',
  },
  'MPT-6': { source: 'OpenAPI 3.1', when: 'a route takes a form', observed: 'it is documented as multipart/form-data with binary strings' },
  'MPT-7': { source: 'state-notes §8', when: 'a file of a gigabyte is sent', observed: 'memory does not grow with it' },
  'MPT-8': { source: 'design §6', when: 'the disk is full', observed: 'a 503 with Retry-After, and what was written is deleted' },
  'RNG-1': {
    source: 'RFC 9110 §8',
    when: 'bytes are requested',
    observed: 'they come with length, type, validators, and as an attachment',
  },
  'RNG-2': { source: 'RFC 9110 §9.3.2', when: 'HEAD asks for bytes', observed: 'the head of GET, and nothing is opened' },
  'RNG-3': {
    source: 'RFC 9110 §14',
    when: 'a Range header asks for a part',
    observed: 'one range is a 206, outside the content a 416; several ranges, other units and malformed ones get the whole',
  },
  'RNG-4': {
    source: 'RFC 9110 §13',
    when: 'a request for bytes has conditions',
    observed: '304, 412 or the bytes, in the order of §13.2.2; a range only where If-Range still holds',
  },
  'RNG-5': {
    source: 'RFC 6266; RFC 8187',
    when: 'a file has any name',
    observed: 'Content-Disposition gives it so that every client can read it',
  },
  'RNG-6': {
    source: 'issue "One resource kit"; state-notes §8',
    when: 'a large file is sent to a caller that reads slowly or leaves, or the server stops',
    observed: 'it is read as the caller reads, and closed at once when that ends',
  },
  'RNG-7': {
    source: 'design §6 "Streams"',
    when: 'a source gives fewer or more bytes than it announced',
    observed: 'an error, never a response that looks whole',
  },
  'RNG-8': { source: 'OpenAPI 3.1', when: 'a route gives bytes', observed: 'they are documented with 206, 304, 412 and 416' },
  'RES-1': {
    source: 'design §5; issue "One resource kit"',
    when: 'a resource is a schema, a folder, a table, a migration and list entries',
    observed: 'it can be created from a form, read, changed, deleted, and downloaded with ranges and conditions',
  },
  'RES-2': { source: 'design §5; OpenAI lists', when: 'such a resource is listed', observed: 'in pages, as OpenAI’s clients read them' },
  'RES-3': { source: 'design §6', when: 'a caller is unknown, or sends what the schema rejects', observed: '401 and 400' },
  'RES-4': { source: 'docs/jobs.md', when: 'a row is made that needs work', observed: 'its job is queued with it and done' },
  'RES-5': { source: 'design §3', when: 'the OpenAPI document is requested', observed: 'it has the routes and schemas of the resource' },
  'RES-6': {
    source: 'issue "README and metadata"',
    when: 'docs/adding-a-resource.md shows code',
    observed: 'it is the code that the test runs',
  },
}
