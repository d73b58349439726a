import type { StoredTrace, TraceStore } from '../telemetry/store/reader.ts'
import { CommandError, defineCommand, jsonOption, type CommandOutput } from './command.ts'
import { drawTree } from './traces-draw.ts'
import { explain } from './traces-explain.ts'
import { openStore, traceJson, traceStoreOf, tracesConfigOption } from './traces-store.ts'
import { printable } from './printable.ts'
import { durationText, timeText } from './traces-text.ts'

/** Candidates that are named where an id means several. */
const maxCandidates = 10

export const tracesShow = defineCommand({
  name: 'traces show',
  summary: 'one request or trace: its tree with timings, and why it failed',
  description:
    'Draws the spans with bars from when to when they ran; then what came in (shapes and sizes, not what was said), what went to which provider, what came back, and which rule refused. Error bodies of providers are shown with secrets masked.',
  arguments: [
    { name: 'ID', description: 'a trace id (`x-trace-id`), a request id (`x-request-id`), or the beginning of one', required: true },
  ],
  options: { config: tracesConfigOption, json: jsonOption },
  examples: [
    ['What became of it?', 'corral traces show 4bf92f3577b3'],
    ['By the id that the caller saw', 'corral traces show req_0197a9'],
    ['For other programs', 'corral traces show 4bf92f3577b3 --json | jq .spans'],
  ],
  async run({ args: [id = ''], options }, context) {
    const config = await traceStoreOf(options.config, context)
    using store = await openStore(config)
    if (!store) throw new CommandError(`There are no traces in ${config.path} yet: no request has been kept.`)
    const traces = findTrace(store, id.trim())
    const spans = traces.flatMap((trace) => store.spansOf(trace))
    const { stdout, stderr } = context
    if (options.json) {
      stdout.write(`${JSON.stringify({ trace_id: traces[0]?.traceId, requests: traces.map(traceJson), spans })}\n`)
      return
    }
    for (const [index, trace] of traces.entries()) stdout.write(`${index === 0 ? '' : '\n'}${headOf(trace, stdout)}`)
    stdout.write(`\n${drawTree(spans, stdout)}`)
    for (const trace of traces) stdout.write(`\n${explain(trace, store.spansOf(trace), stdout)}`)
    const [{ traceId } = { traceId: '' }] = traces
    const all = store.byTraceId(traceId).length
    if (all > traces.length) stderr.write(`\nThe trace has ${all} requests in all: \`corral traces show ${traceId}\` shows them.\n`)
  },
})

/** The request that is meant by its id, or all of the one trace that is. Throws CommandError where it is none, or several. */
function findTrace(store: TraceStore, id: string): readonly StoredTrace[] {
  const found = id === '' ? [] : store.find(id, maxCandidates + 1)
  const ids = [...new Set(found.map(({ traceId }) => traceId))]
  const [traceId] = ids
  if (traceId === undefined) {
    throw new CommandError(`There is no trace '${printable(id)}'.`, {
      remedy: 'Requests that succeed are kept as the sampling says, and for telemetry.store.max_age_days: see `corral traces`.',
    })
  }
  if (ids.length > 1) {
    const named = found.slice(0, maxCandidates).map((one) => `  ${one.traceId}  ${timeText(one.start)}  ${printable(one.requestId)}`)
    throw new CommandError(
      `'${printable(id)}' means several traces:\n${[...named, ...(found.length > maxCandidates ? ['  …'] : [])].join('\n')}`,
      {
        remedy: 'Write more of the id.',
      },
    )
  }
  // A caller may do much under one trace id, and who names a request wants that one.
  return traceId.startsWith(id) ? store.byTraceId(traceId) : found
}

function headOf(trace: StoredTrace, output: CommandOutput): string {
  const { httpStatus, principal, keyId } = trace
  const facts = [
    `${timeText(trace.start)} UTC`,
    durationText(trace.end - trace.start),
    httpStatus === null ? undefined : `status ${httpStatus}`,
    `request ${trace.requestId}`,
    principal === null ? undefined : `by ${principal}`,
    keyId === null ? undefined : `with ${keyId}`,
    trace.kept === 'sampled' ? undefined : `kept because it ${trace.kept === 'slow' ? 'was slow' : 'failed'}`,
  ]
  return `${output.bold(`trace ${trace.traceId}`)}  ${printable(trace.name)}\n${facts
    .filter((fact) => fact !== undefined)
    .map(printable)
    .join(' · ')}\n`
}
