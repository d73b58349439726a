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
  summary: 'Show one request or trace',
  description:
    'Shows the spans with their timing, the request (structure and sizes, not content), the requests to providers and their replies, and the rule that denied it. Error bodies of providers are shown with secrets masked.',
  arguments: [{ name: 'ID', description: 'a trace id (`x-trace-id`), a request id (`x-request-id`), or a prefix of one', required: true }],
  options: { config: tracesConfigOption, json: jsonOption },
  examples: [
    ['By a prefix of the trace id', 'corral traces show 4bf92f3577b3'],
    ['By the request id', 'corral traces show req_0197a9'],
    ['For scripts', 'corral traces show 4bf92f3577b3 --json | jq .spans'],
  ],
  async run({ args: [id = ''], options }, context) {
    const config = await traceStoreOf(options.config, context)
    using store = await openStore(config)
    if (!store) throw new CommandError(`No traces in ${config.path} yet.`)
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
    if (all > traces.length) stderr.write(`\nThe trace has ${all} requests; show all with \`corral traces show ${traceId}\`.\n`)
  },
})

/** The request that is meant by its id, or all of the one trace that is. Throws CommandError where it is none, or several. */
function findTrace(store: TraceStore, id: string): readonly StoredTrace[] {
  const found = id === '' ? [] : store.find(id, maxCandidates + 1)
  const ids = [...new Set(found.map(({ traceId }) => traceId))]
  const [traceId] = ids
  if (traceId === undefined) {
    throw new CommandError(`Trace not found: ${printable(id)}.`, {
      remedy: 'Successful requests are sampled, and deleted after telemetry.store.max_age_days. `corral traces` lists the stored ones.',
    })
  }
  if (ids.length > 1) {
    const named = found.slice(0, maxCandidates).map((one) => `  ${one.traceId}  ${timeText(one.start)}  ${printable(one.requestId)}`)
    throw new CommandError(
      `'${printable(id)}' matches several traces:\n${[...named, ...(found.length > maxCandidates ? ['  …'] : [])].join('\n')}`,
      {
        remedy: 'Use a longer prefix.',
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
    trace.kept === 'sampled' ? undefined : `stored because it ${trace.kept === 'slow' ? 'was slow' : 'failed'}`,
  ]
  return `${output.bold(`trace ${trace.traceId}`)}  ${printable(trace.name)}\n${facts
    .filter((fact) => fact !== undefined)
    .map(printable)
    .join(' · ')}\n`
}
