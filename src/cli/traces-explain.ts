import type { StoredSpan, StoredTrace } from '../telemetry/store/reader.ts'
import type { Output } from './command.ts'
import { printable } from './printable.ts'
import { durationText } from './traces-text.ts'

type Facts = readonly (readonly [name: string, value: string | undefined])[]

/** What one request was and became: what came in, what went to whom, what came back, who refused. Shapes and sizes, never what was said. */
export function explain(trace: StoredTrace, spans: readonly StoredSpan[], output: Output): string {
  const root = spans.find(({ spanId }) => spanId === trace.rootSpanId)
  const answers = spans.filter(({ kind }) => kind === 'client')
  const parts: string[] = []
  if (root) {
    const shape = answers.map((answer) => told(answer, 'corral.request.shape')).find((one) => one !== undefined)
    parts.push(section('What came in', cameIn(root, shape), output))
  }
  for (const answer of answers) {
    const provider = told(answer, 'corral.provider') ?? 'a provider'
    parts.push(section(`What went to ${printable(provider)}`, wentOut(answer, trace), output))
    parts.push(section(`What came back from ${printable(provider)}`, cameBack(answer), output))
  }
  if (root) {
    // Where the request never came to a provider, or its answer made the error.
    if (answers.length === 0) parts.push(section('What came back from the provider', upstreamFacts(root), output))
    parts.push(section('What refused', refused(root), output))
    parts.push(section('What the caller got', got(root, trace), output))
  }
  parts.push(...logged(spans, output))
  return parts.filter((part) => part !== '').join('\n')
}

function cameIn(root: StoredSpan, shape: string | undefined): Facts {
  const method = told(root, 'http.request.method_original') ?? told(root, 'http.request.method')
  const size = told(root, 'http.request.body.size')
  return [
    ['request', [method, told(root, 'url.path')].filter((one) => one !== undefined).join(' ') || undefined],
    ['from', told(root, 'client.address')],
    ['client', told(root, 'user_agent.original')],
    ['body', size === undefined ? undefined : `${size} bytes`],
    ['shape', shape ?? told(root, 'corral.request.shape')],
    ['model', told(root, 'corral.model')],
    ['streamed', told(root, 'corral.stream') === undefined ? undefined : 'yes'],
  ]
}

function wentOut(answer: StoredSpan, trace: StoredTrace): Facts {
  const [address, port] = [told(answer, 'server.address'), told(answer, 'server.port')]
  return [
    ['operation', told(answer, 'gen_ai.operation.name')],
    ['model', told(answer, 'gen_ai.request.model')],
    ['to', address === undefined ? undefined : `${address}${port === undefined ? '' : `:${port}`}`],
    ['sent after', durationText(answer.start - trace.start)],
  ]
}

function cameBack(answer: StoredSpan): Facts {
  const [input, output] = [told(answer, 'gen_ai.usage.input_tokens'), told(answer, 'gen_ai.usage.output_tokens')]
  const first = answer.attributes['gen_ai.response.time_to_first_chunk']
  return [
    ['outcome', [told(answer, 'corral.outcome'), `after ${durationText(answer.end - answer.start)}`].filter(Boolean).join(', ')],
    ['first token', typeof first === 'number' ? `after ${durationText(first * 1_000)}` : undefined],
    ['finish', told(answer, 'gen_ai.response.finish_reasons')],
    ['tokens', input === undefined && output === undefined ? undefined : `${input ?? 0} in, ${output ?? 0} out`],
    ...upstreamFacts(answer),
    ['error', told(answer, 'corral.error.message')],
  ]
}

function upstreamFacts(span: StoredSpan): Facts {
  return [
    ['status', told(span, 'corral.upstream.status_code')],
    ['body', told(span, 'corral.upstream.body')],
  ]
}

function refused(root: StoredSpan): Facts {
  return [
    ['by', told(root, 'corral.denied.by')],
    ['because', told(root, 'corral.denied.reason')],
    ['action', told(root, 'corral.denied.action')],
    ['resource', told(root, 'corral.denied.resource')],
  ]
}

function got(root: StoredSpan, trace: StoredTrace): Facts {
  return [
    ['status', told(root, 'http.response.status_code')],
    ['left early', told(root, 'corral.caller_left') === undefined ? undefined : 'yes, before the end'],
    ['error', trace.errorType ?? undefined],
    ['message', told(root, 'corral.error.message')],
    ['parameter', told(root, 'corral.error.param')],
    ['cost', trace.costUsd === null ? undefined : `$${trace.costUsd.toFixed(6)}`],
  ]
}

/** What was logged to the trace by callers themselves. */
function logged(spans: readonly StoredSpan[], output: Output): string[] {
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

function section(title: string, facts: Facts, output: Output): string {
  const known = facts.filter((fact): fact is readonly [string, string] => fact[1] !== undefined && fact[1] !== '')
  if (known.length === 0) return ''
  const width = Math.max(...known.map(([name]) => name.length))
  return [output.bold(title), ...known.map(([name, value]) => `  ${printable(name).padEnd(width)}  ${printable(value)}`)]
    .map((line) => `${line}\n`)
    .join('')
}

function told({ attributes }: StoredSpan, name: string): string | undefined {
  const value = attributes[name]
  if (value === undefined) return undefined
  return Array.isArray(value) ? value.join(', ') : String(value)
}
