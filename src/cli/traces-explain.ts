import type { StoredSpan, StoredTrace } from '../telemetry/store/reader.ts'
import type { CommandOutput } from './command.ts'
import { printable } from './printable.ts'
import { durationText } from './traces-text.ts'

type Facts = readonly (readonly [name: string, value: string | undefined])[]

/** What one request was and became: what came in, what went to whom, what came back, who refused. Shapes and sizes, never what was said. */
export function explain(trace: StoredTrace, spans: readonly StoredSpan[], output: CommandOutput): string {
  const root = spans.find(({ spanId }) => spanId === trace.rootSpanId)
  const attempts = spans.filter(({ kind }) => kind === 'client')
  const parts: string[] = []
  if (root) {
    const shape = attempts.map((attempt) => attributeOf(attempt, 'corral.request.shape')).find((one) => one !== undefined)
    parts.push(section('What came in', requestFacts(root, shape), output))
  }
  for (const attempt of attempts) {
    const provider = attributeOf(attempt, 'corral.provider') ?? 'a provider'
    parts.push(section(`What went to ${printable(provider)}`, sentFacts(attempt, trace), output))
    parts.push(section(`What came back from ${printable(provider)}`, receivedFacts(attempt), output))
  }
  if (root) {
    // Where the request never came to a provider, or its answer made the error.
    if (attempts.length === 0) parts.push(section('What came back from the provider', upstreamFacts(root), output))
    parts.push(section('What refused', denialFacts(root), output))
    parts.push(section('What the caller got', responseFacts(root, trace), output))
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
    ['left early', attributeOf(root, 'corral.client_disconnected') === undefined ? undefined : 'yes, before the end'],
    ['error', trace.errorType ?? undefined],
    ['message', attributeOf(root, 'corral.error.message')],
    ['parameter', attributeOf(root, 'corral.error.param')],
    ['cost', trace.costUsd === null ? undefined : `$${trace.costUsd.toFixed(6)}`],
  ]
}

/** What was logged to the trace by callers themselves. */
function eventSections(spans: readonly StoredSpan[], output: CommandOutput): string[] {
  return spans
    .filter(({ kind, events }) => kind === 'internal' && events.length > 0)
    .map(({ name, events }) =>
      section(
        `What was logged to ${printable(name || 'it')}`,
        events.map((event) => [event.name, JSON.stringify(event.attributes ?? {})]),
        output,
      ),
    )
}

function section(title: string, facts: Facts, output: CommandOutput): string {
  const known = facts.filter((fact): fact is readonly [string, string] => fact[1] !== undefined && fact[1] !== '')
  if (known.length === 0) return ''
  const width = Math.max(...known.map(([name]) => name.length))
  return [output.bold(title), ...known.map(([name, value]) => `  ${printable(name).padEnd(width)}  ${printable(value)}`)]
    .map((line) => `${line}\n`)
    .join('')
}

function attributeOf({ attributes }: StoredSpan, name: string): string | undefined {
  const value = attributes[name]
  if (value === undefined) return undefined
  return Array.isArray(value) ? value.join(', ') : String(value)
}
