import type { StoredSpan, StoredTrace } from '../telemetry/store/reader.ts'
import type { CommandOutput } from './command.ts'
import { printable } from './printable.ts'
import { durationText } from './traces-text.ts'
import { padColumns } from './columns.ts'
import { displayWidth } from '../runtime/display-width.ts'

type Facts = readonly (readonly [name: string, value: string | undefined])[]

/** The facts of one request: the request, its attempts and their replies, the denial, the response. Structure and sizes, never content. */
export function explain(trace: StoredTrace, spans: readonly StoredSpan[], output: CommandOutput): string {
  const root = spans.find(({ spanId }) => spanId === trace.rootSpanId)
  const attempts = spans.filter(({ kind }) => kind === 'client')
  const parts: string[] = []
  if (root) {
    const shape = attempts.map((attempt) => attributeOf(attempt, 'corral.request.shape')).find((one) => one !== undefined)
    parts.push(section('Request', requestFacts(root, shape), output))
  }
  for (const attempt of attempts) {
    const provider = attributeOf(attempt, 'corral.provider') ?? 'a provider'
    parts.push(section(`Request to ${printable(provider)}`, sentFacts(attempt, trace), output))
    parts.push(section(`Reply from ${printable(provider)}`, receivedFacts(attempt), output))
  }
  if (root) {
    // Without an attempt, the reply's facts are on the root span.
    if (attempts.length === 0) parts.push(section('Reply from the provider', upstreamFacts(root), output))
    parts.push(section('Denied', denialFacts(root), output))
    parts.push(section('Response', responseFacts(root, trace), output))
  }
  parts.push(...eventSections(spans, output))
  return parts.filter((part) => part !== '').join('\n')
}

function requestFacts(root: StoredSpan, shape: string | undefined): Facts {
  const method = attributeOf(root, 'http.request.method_original') ?? attributeOf(root, 'http.request.method')
  const size = attributeOf(root, 'http.request.body.size')
  return [
    ['request', [method, attributeOf(root, 'url.path')].filter((one) => one !== undefined).join(' ') || undefined],
    ['from', attributeOf(root, 'client.address')],
    ['client', attributeOf(root, 'user_agent.original')],
    ['body', size === undefined ? undefined : `${size} bytes`],
    ['shape', shape ?? attributeOf(root, 'corral.request.shape')],
    ['model', attributeOf(root, 'corral.model')],
    ['streamed', attributeOf(root, 'corral.stream') === undefined ? undefined : 'yes'],
  ]
}

function sentFacts(attempt: StoredSpan, trace: StoredTrace): Facts {
  const [address, port] = [attributeOf(attempt, 'server.address'), attributeOf(attempt, 'server.port')]
  return [
    ['operation', attributeOf(attempt, 'gen_ai.operation.name')],
    ['model', attributeOf(attempt, 'gen_ai.request.model')],
    ['to', address === undefined ? undefined : `${address}${port === undefined ? '' : `:${port}`}`],
    ['sent after', durationText(attempt.start - trace.start)],
  ]
}

function receivedFacts(attempt: StoredSpan): Facts {
  const [input, output] = [attributeOf(attempt, 'gen_ai.usage.input_tokens'), attributeOf(attempt, 'gen_ai.usage.output_tokens')]
  const first = attempt.attributes['gen_ai.response.time_to_first_chunk']
  return [
    ['outcome', [attributeOf(attempt, 'corral.outcome'), `after ${durationText(attempt.end - attempt.start)}`].filter(Boolean).join(', ')],
    ['first token', typeof first === 'number' ? `after ${durationText(first * 1_000)}` : undefined],
    ['finish', attributeOf(attempt, 'gen_ai.response.finish_reasons')],
    ['tokens', input === undefined && output === undefined ? undefined : `${input ?? 0} in, ${output ?? 0} out`],
    ...upstreamFacts(attempt),
    ['error', attributeOf(attempt, 'corral.error.message')],
  ]
}

function upstreamFacts(span: StoredSpan): Facts {
  return [
    ['status', attributeOf(span, 'corral.upstream.status_code')],
    ['body', attributeOf(span, 'corral.upstream.body')],
  ]
}

function denialFacts(root: StoredSpan): Facts {
  return [
    ['by', attributeOf(root, 'corral.denied.by')],
    ['because', attributeOf(root, 'corral.denied.reason')],
    ['action', attributeOf(root, 'corral.denied.action')],
    ['resource', attributeOf(root, 'corral.denied.resource')],
  ]
}

function responseFacts(root: StoredSpan, trace: StoredTrace): Facts {
  return [
    ['status', attributeOf(root, 'http.response.status_code')],
    [
      'client disconnected',
      attributeOf(root, 'corral.client_disconnected') === undefined ? undefined : 'yes, before the end of the response',
    ],
    ['error', trace.errorType ?? undefined],
    ['message', attributeOf(root, 'corral.error.message')],
    ['parameter', attributeOf(root, 'corral.error.param')],
    ['cost', trace.costUsd === null ? undefined : `$${trace.costUsd.toFixed(6)}`],
  ]
}

/** Events that callers added to the trace. */
function eventSections(spans: readonly StoredSpan[], output: CommandOutput): string[] {
  return spans
    .filter(({ kind, events }) => kind === 'internal' && events.length > 0)
    .map(({ name, events }) =>
      section(
        `Events of ${printable(name || 'the span')}`,
        events.map((event) => [event.name, JSON.stringify(event.attributes ?? {})]),
        output,
      ),
    )
}

function section(title: string, facts: Facts, output: CommandOutput): string {
  const known = facts.filter((fact): fact is readonly [string, string] => fact[1] !== undefined && fact[1] !== '')
  if (known.length === 0) return ''
  const width = Math.max(...known.map(([name]) => displayWidth(printable(name))))
  return [output.bold(title), ...known.map(([name, value]) => `  ${padColumns(printable(name), width)}  ${printable(value)}`)]
    .map((line) => `${line}\n`)
    .join('')
}

function attributeOf({ attributes }: StoredSpan, name: string): string | undefined {
  const value = attributes[name]
  if (value === undefined) return undefined
  return Array.isArray(value) ? value.join(', ') : String(value)
}
