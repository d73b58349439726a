import { RequestTrace } from './request-trace.ts'
import { createIds, type Ids } from './trace-ids.ts'

/** What a caller's `traceparent` says. */
interface ParentContext {
  /** 32 lower-case hexadecimal digits, not all zero. */
  readonly traceId: string
  /** 16 of them, not all zero. */
  readonly spanId: string
  /** The caller records it. */
  readonly sampled: boolean
}

const hex = '[\\da-f]'
const wellFormed = new RegExp(`^(?!ff)(${hex}{2})-(?!0{32})(${hex}{32})-(?!0{16})(${hex}{16})-(${hex}{2})(-.*)?$`)
/** Longer ones are rejected. */
const maxParentLength = 512

/**
 * Reads `traceparent` (W3C Trace Context, level 1, section 3.2). Undefined for what is malformed, which is as if it were not there. A version to come
 * may carry more after the flags; version 00 may not.
 */
export function parseTraceparent(header: string): ParentContext | undefined {
  if (header.length > maxParentLength) return undefined
  const found = wellFormed.exec(header.trim())
  if (!found) return undefined
  const [, version, traceId = '', spanId = '', flags = '', rest] = found
  if (version === '00' && rest !== undefined) return undefined
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 }
}

/** Whether what one request does is recorded; by the trace's id and what the caller's own context says. */
export type Sampler = (traceId: string, parent: ParentContext | undefined) => boolean

/** Gives a request its place, by the value of its `traceparent` and, where that is well-formed, its other headers. */
export type TraceContexts = (traceparent: string | null, headers: Pick<Headers, 'get'>) => RequestTrace

interface TraceContextOptions {
  readonly sampler: Sampler
  /** Whether callers' baggage is read, in order to be passed on. */
  readonly baggage?: boolean
  /** Whether sampled spans include prompts and completions. */
  readonly captureContent?: boolean
  readonly ids?: Ids
}

/** A request continues the caller’s trace if its context is well-formed, else it starts a new trace. */
export function createTraceContexts({ sampler, baggage, captureContent, ids = createIds() }: TraceContextOptions): TraceContexts {
  const { spanId: newSpanId } = ids
  return (traceparent, headers) => {
    const parent = traceparent === null ? undefined : parseTraceparent(traceparent)
    const traceId = parent ? parent.traceId : ids.traceId()
    const trace = new RequestTrace(traceId, parent?.spanId, sampler(traceId, parent), newSpanId)
    if (parent) trace.state = parseTracestate(headers.get('tracestate'))
    if (baggage) trace.baggage = parseBaggage(headers.get('baggage'))
    if (captureContent && trace.sampled) trace.capturesContent = true
    return trace
  }
}

const stateMember =
  /^(?:[a-z][a-z\d_\-*/]{0,255}|[a-z\d][a-z\d_\-*/]{0,240}@[a-z][a-z\d_\-*/]{0,13})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/
const maxMembers = 32
const maxStateLength = 8192

/** `tracestate` (section 3.3), blanks around its members taken off; undefined where any of it is malformed, or a key comes twice. */
export function parseTracestate(header: string | null): string | undefined {
  if (header === null || header.length > maxStateLength) return undefined
  const members = header
    .split(',')
    .map((member) => member.trim())
    .filter((member) => member !== '')
  if (members.length === 0 || members.length > maxMembers || !members.every((member) => stateMember.test(member))) return undefined
  const keys = new Set(members.map((member) => member.slice(0, member.indexOf('='))))
  return keys.size === members.length ? members.join(',') : undefined
}

const maxBaggageLength = 8192
const baggageMember =
  /^[!#$%&'*+.^_`|~\w-]{1,256}[ \t]{0,8}=[ \t]{0,8}[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*(?:;[\x20-\x2b\x2d-\x7e]*)?$/

/** W3C Baggage: undefined where any of it is malformed, or it is longer than 8192 characters. */
export function parseBaggage(header: string | null): string | undefined {
  if (header === null || header.length > maxBaggageLength) return undefined
  const members = header.split(',').map((member) => member.trim())
  return members.length <= 64 && members.every((member) => baggageMember.test(member)) ? members.join(',') : undefined
}
