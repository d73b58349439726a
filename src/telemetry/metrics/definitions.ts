import type { Conventions } from '../config.ts'
import type { MetricDefinition } from './instruments.ts'

/** Seconds (GenAI conventions 1.41, "gen_ai.client.operation.duration"). */
const durations = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]
const firstToken = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]
const perToken = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5]
const tokenCounts = [1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864]
/** Seconds (HTTP conventions). */
const httpDurations = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]
/** Bytes: from a short question to an image or a batch of embeddings. */
const bodySizes = [256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864]

const modelLabels = ['gen_ai.operation.name', 'gen_ai.provider.name', 'corral.provider', 'gen_ai.request.model']

/** The names that OpenTelemetry's conventions changed after 1.41; undefined: that version has no such metric. */
interface MetricNames {
  readonly operationDuration: string
  readonly timeToFirstChunk: string
  readonly timePerOutputChunk: string
  readonly tokenUsage: string | undefined
  /** Histograms of the tokens of one response. */
  readonly inputTokens: string | undefined
  readonly outputTokens: string | undefined
  /** Prefix of the counters of tokens. */
  readonly usage: string | undefined
}

export const metricNames: Readonly<Record<Conventions, MetricNames>> = {
  v1_41: {
    operationDuration: 'gen_ai.client.operation.duration',
    timeToFirstChunk: 'gen_ai.client.operation.time_to_first_chunk',
    timePerOutputChunk: 'gen_ai.client.operation.time_per_output_chunk',
    tokenUsage: 'gen_ai.client.token.usage',
    inputTokens: undefined,
    outputTokens: undefined,
    usage: undefined,
  },
  latest: {
    operationDuration: 'gen_ai.client.inference.duration',
    timeToFirstChunk: 'gen_ai.client.inference.time_to_first_chunk',
    timePerOutputChunk: 'gen_ai.client.inference.time_per_output_chunk',
    tokenUsage: undefined,
    inputTokens: 'gen_ai.client.inference.operation.input_tokens',
    outputTokens: 'gen_ai.client.inference.operation.output_tokens',
    usage: 'gen_ai.client.inference.usage',
  },
}

/** The parts of the tokens that are counted, as the later conventions' counters end. */
export const tokenParts = [
  'input_tokens',
  'output_tokens',
  'cache_read.input_tokens',
  'cache_write.input_tokens',
  'reasoning.output_tokens',
] as const
export type TokenPart = (typeof tokenParts)[number]

/** Every metric of this server. */
export function definitionsOf(conventions: Conventions): MetricDefinition[] {
  return [...serverMetrics, ...clientMetrics(metricNames[conventions]), ...httpMetrics, ...ownMetrics, ...processMetrics]
}

const serverMetrics: readonly MetricDefinition[] = [
  {
    name: 'gen_ai.server.request.duration',
    unit: 's',
    kind: 'histogram',
    description: 'Duration of inference requests, from the request to the end of the response.',
    labels: [...modelLabels, 'error.type'],
    buckets: durations,
  },
  {
    name: 'gen_ai.server.time_to_first_token',
    unit: 's',
    kind: 'histogram',
    description: 'Time to the first token of a stream.',
    labels: modelLabels,
    buckets: firstToken,
  },
  {
    name: 'gen_ai.server.time_per_output_token',
    unit: 's',
    kind: 'histogram',
    description: 'Average time between two tokens of a stream, after the first.',
    labels: modelLabels,
    buckets: perToken,
  },
]

function clientMetrics(names: MetricNames): MetricDefinition[] {
  const { tokenUsage, inputTokens, outputTokens, usage } = names
  const perResponse = (name: string, what: string): MetricDefinition => ({
    name,
    unit: '{token}',
    kind: 'histogram',
    description: `Tokens of one response's ${what}, as reported by the provider.`,
    labels: modelLabels,
    buckets: tokenCounts,
  })
  return [
    {
      name: names.operationDuration,
      unit: 's',
      kind: 'histogram',
      description: 'Duration of requests to providers, to the end of the response.',
      labels: [...modelLabels, 'error.type'],
      buckets: durations,
    },
    {
      name: names.timeToFirstChunk,
      unit: 's',
      kind: 'histogram',
      description: "Time to the first chunk of a provider's stream that has content.",
      labels: modelLabels,
      buckets: durations,
    },
    {
      name: names.timePerOutputChunk,
      unit: 's',
      kind: 'histogram',
      description: "Average time between two chunks of a provider's stream, after the first.",
      labels: modelLabels,
      buckets: durations,
    },
    ...(tokenUsage === undefined
      ? []
      : [{ ...perResponse(tokenUsage, 'input or output'), labels: [...modelLabels, 'gen_ai.token.type'] } satisfies MetricDefinition]),
    ...(inputTokens === undefined ? [] : [perResponse(inputTokens, 'input')]),
    ...(outputTokens === undefined ? [] : [perResponse(outputTokens, 'output')]),
    ...(usage === undefined
      ? []
      : tokenParts.map((part): MetricDefinition => ({
          name: `${usage}.${part}`,
          unit: '{token}',
          kind: 'counter',
          description: `Tokens reported by providers: ${part}.`,
          labels: modelLabels,
        }))),
  ]
}

const httpLabels = ['http.request.method', 'http.route', 'http.response.status_code', 'url.scheme', 'error.type']

const httpMetrics: readonly MetricDefinition[] = [
  {
    name: 'http.server.request.duration',
    unit: 's',
    kind: 'histogram',
    description: 'Duration of HTTP requests, to the end of the response, streams included.',
    labels: httpLabels,
    buckets: httpDurations,
  },
  {
    name: 'http.server.request.body.size',
    unit: 'By',
    kind: 'histogram',
    description: 'Size of request bodies, decompressed.',
    labels: httpLabels,
    buckets: bodySizes,
  },
  {
    name: 'http.server.response.body.size',
    unit: 'By',
    kind: 'histogram',
    description: 'Size of model responses; of a stream, its frames.',
    labels: httpLabels,
    buckets: bodySizes,
  },
  {
    name: 'http.server.active_requests',
    unit: '{request}',
    kind: 'updown',
    description: 'Requests in flight, streams included.',
    labels: ['url.scheme'],
  },
]

const ownMetrics: readonly MetricDefinition[] = [
  {
    name: 'corral.tokens',
    unit: '{token}',
    kind: 'counter',
    description: 'Tokens reported by providers, by part; cache_read, cache_write and reasoning are included in input and output.',
    labels: ['corral.provider', 'gen_ai.request.model', 'corral.token.part'],
  },
  {
    name: 'corral.cost',
    unit: 'USD',
    kind: 'counter',
    description: 'Cost of responses, as recorded in the ledger.',
    labels: ['corral.provider', 'gen_ai.request.model'],
  },
  {
    name: 'corral.refusals',
    unit: '{request}',
    kind: 'counter',
    description: 'Refused requests, by the refusing part and the error code.',
    labels: ['corral.denied.by', 'corral.denied.code', 'corral.limit.name'],
  },
  {
    name: 'corral.upstream.failures',
    unit: '{failure}',
    kind: 'counter',
    description: 'Provider failures, by source: inference, model listing, other.',
    labels: ['corral.provider', 'corral.failure.source', 'error.type'],
  },
  {
    name: 'corral.streams.interrupted',
    unit: '{stream}',
    kind: 'counter',
    description: 'Streams interrupted by a provider.',
    labels: ['corral.provider'],
  },
  {
    name: 'corral.streams.open',
    unit: '{stream}',
    kind: 'updown',
    description: 'Open streams.',
    labels: [],
  },
  {
    name: 'corral.client.disconnects',
    unit: '{request}',
    kind: 'counter',
    description: 'Requests whose client disconnected before the end of the response.',
    labels: [],
  },
  {
    name: 'corral.provider.up',
    unit: '{provider}',
    kind: 'gauge',
    description: '1 if the last request to the provider succeeded, 0 if it failed.',
    labels: ['corral.provider'],
    aggregation: 'latest',
  },
  {
    name: 'corral.provider.models',
    unit: '{model}',
    kind: 'gauge',
    description: "Models in the provider's last listing.",
    labels: ['corral.provider'],
    aggregation: 'latest',
  },
  {
    name: 'corral.dependency.up',
    unit: '{dependency}',
    kind: 'gauge',
    description: '0 while a dependency other than a provider is unavailable; absent until it first was.',
    labels: ['corral.dependency'],
    aggregation: 'latest',
  },
  {
    name: 'corral.quota.utilization',
    unit: '1',
    kind: 'gauge',
    description: 'Highest utilization of a limit in its current window, over all subjects.',
    labels: ['corral.limit.name', 'corral.limit.unit', 'corral.limit.period'],
    aggregation: 'max',
  },
  {
    name: 'corral.telemetry.dropped',
    unit: '{item}',
    kind: 'counter',
    description: 'Lost log lines, spans, metric exports, audit entries and ledger entries.',
    labels: ['corral.dropped'],
  },
]

const processMetrics: readonly MetricDefinition[] = [
  {
    name: 'process.memory.usage',
    unit: 'By',
    kind: 'updown',
    description: 'Resident memory of all serving processes.',
    labels: [],
  },
  {
    name: 'corral.process.heap.used',
    unit: 'By',
    kind: 'updown',
    description: 'JavaScript heap in use, of all serving processes.',
    labels: [],
  },
  {
    name: 'process.cpu.time',
    unit: 's',
    kind: 'counter',
    description: 'CPU time of all serving processes.',
    labels: ['cpu.mode'],
  },
  {
    name: 'process.uptime',
    unit: 's',
    kind: 'gauge',
    description: 'Uptime of the oldest serving process.',
    labels: [],
    aggregation: 'max',
  },
  ...['mean', 'p99', 'max'].map((which): MetricDefinition => ({
    name: `nodejs.eventloop.delay.${which}`,
    unit: 's',
    kind: 'gauge',
    description: `Event loop delay in the last seconds (${which}), of the slowest process.`,
    labels: [],
    aggregation: 'max',
  })),
  {
    name: 'corral.processes',
    unit: '{process}',
    kind: 'updown',
    description: 'Serving processes that reported metrics.',
    labels: [],
  },
]
