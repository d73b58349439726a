import { z } from 'zod'
import type { Call } from '../../call.ts'

/** Headers that say where a message goes, how it is framed or who sent it: no caller may write them. */
const blocked = new Set([
  'host',
  'content-type',
  'content-length',
  'content-encoding',
  'transfer-encoding',
  'connection',
  'keep-alive',
  'upgrade',
  'expect',
  'te',
  'trailer',
  'cookie',
  'set-cookie',
  'forwarded',
  'proxy-authorization',
  'proxy-connection',
  'x-real-ip',
  // Upstreams get this server's own place in the trace.
  'traceparent',
  'tracestate',
  'baggage',
])

const headerName = /^[!#$%&'*+.^_`|~\w-]+$/
const maxBytes = 8192

function mayBeForwarded(header: string): boolean {
  const name = header.toLowerCase()
  return headerName.test(name) && !blocked.has(name) && !name.startsWith('x-forwarded-')
}

/** `forward_headers:` — which field of the caller's provider data becomes which header. What is not named is not forwarded. */
export const forwardHeaders = z.record(
  z.string().refine((field) => !field.startsWith('__'), 'fields that begin with __ are the server’s own'),
  z.string().refine(mayBeForwarded, 'this header may not be forwarded'),
)

/** The headers that this call forwards: control characters stripped, values over 8 kB dropped. */
export function forwardedHeaders(call: Call, rules: z.output<typeof forwardHeaders> | null | undefined): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const [field, header] of Object.entries(rules ?? {})) {
    const value = Object.hasOwn(call.providerData, field) ? call.providerData[field] : undefined
    if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') continue
    // What is neither a control character nor beyond Latin-1 can be sent.
    const sendable = String(value)
      .replaceAll(/[^\u0020-\u007e\u00a0-\u00ff]/g, '')
      .trim()
    if (sendable && new TextEncoder().encode(String(value)).length <= maxBytes) headers[header.toLowerCase()] = sendable
  }
  return headers
}
