import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Attributes, SpanRecord, TraceOwner } from '../../../src/telemetry/traces/span.ts'

/** Noon of a day, Unix milliseconds. */
export const noon = Date.UTC(2027, 0, 31, 12)

export const temporary = (): Promise<string> => mkdtemp(join(tmpdir(), 'corral-traces-'))

export const hex = (number: number, length: number): string => number.toString(16).padStart(length, '0')

interface MadeRequest {
  readonly start?: number
  readonly duration?: number
  readonly owner?: Partial<TraceOwner>
  readonly traceId?: string
  readonly status?: number
  readonly kept?: SpanRecord['kept']
  readonly attributes?: Attributes
  readonly clientAttributes?: Attributes
}

/** The two spans of a chat, of which the number makes the ids. */
export function requestSpans(number: number, made: MadeRequest = {}): SpanRecord[] {
  const { start = noon, duration = 1_000, status = 200, kept = status >= 400 ? 'failed' : 'sampled' } = made
  const owner = { requestId: `req-${number}`, ...made.owner }
  const common = { traceId: made.traceId ?? hex(number, 32), sampled: true, kept, owner } as const
  const failed = status >= 500
  return [
    {
      ...common,
      spanId: hex(number * 2, 16),
      name: 'POST /v1/chat/completions',
      kind: 'server',
      start,
      end: start + duration,
      status: failed ? 'error' : 'unset',
      attributes: {
        'http.request.method': 'POST',
        'http.route': '/v1/chat/completions',
        'url.path': '/v1/chat/completions',
        'http.response.status_code': status,
        'corral.model': 'groq/small',
        'corral.provider': 'groq',
        'gen_ai.usage.input_tokens': 12,
        'gen_ai.usage.output_tokens': 34,
        'corral.cost_usd': 0.000_123,
        ...made.attributes,
      },
    },
    {
      ...common,
      spanId: hex(number * 2 + 1, 16),
      parentSpanId: hex(number * 2, 16),
      name: 'chat small',
      kind: 'client',
      start: start + duration * 0.1,
      end: start + duration * 0.9,
      status: failed ? 'error' : 'unset',
      attributes: { 'gen_ai.request.model': 'small', 'gen_ai.provider.name': 'groq', 'corral.provider': 'groq', ...made.clientAttributes },
    },
  ]
}
