import { ApiError, errorStatus } from '../../errors.ts'
import type { RequestFinished } from '../event-types.ts'
import { type CounterSeries, type Instruments, type HistogramSeries, overflowLabel } from './instruments.ts'
import { ByModel, type ModelNames } from './model-labels.ts'

const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH', 'QUERY'])

interface RequestMetricsOptions {
  readonly instruments: Instruments
  readonly models: () => ModelNames
  /** `gen_ai.provider.name` of the configured providers, by id. */
  readonly providers: ReadonlyMap<string, string>
  readonly scheme: 'http' | 'https'
}

interface RouteSeries {
  /** By method, then by status. */
  readonly http: Map<string, (HttpSeries | undefined)[]>
  /** Of routes with an operation, by the requested model. */
  readonly models: ByModel<ServerSeries> | undefined
  /** The same by the provider's own id: for names that callers have registered. */
  readonly targets: ByModel<ServerSeries> | undefined
}

interface HttpSeries {
  readonly duration: HistogramSeries
  readonly requestBody: HistogramSeries
  readonly responseBody: HistogramSeries
}

interface ServerSeries {
  /** By `error.type`; empty: none. */
  readonly duration: (error: string) => HistogramSeries
  readonly succeeded: HistogramSeries
  readonly firstToken: HistogramSeries
  readonly perToken: HistogramSeries
}

/** What callers see: HTTP's own metrics, `gen_ai.server.*`, refusals. */
export class RequestMetrics {
  readonly #options: RequestMetricsOptions
  readonly #routes = new Map<string, RouteSeries>()
  readonly #disconnects: CounterSeries
  readonly #families

  constructor(options: RequestMetricsOptions) {
    this.#options = options
    const { instruments } = options
    this.#families = {
      http: instruments.histogram('http.server.request.duration'),
      requestBody: instruments.histogram('http.server.request.body.size'),
      responseBody: instruments.histogram('http.server.response.body.size'),
      duration: instruments.histogram('gen_ai.server.request.duration'),
      firstToken: instruments.histogram('gen_ai.server.time_to_first_token'),
      perToken: instruments.histogram('gen_ai.server.time_per_output_token'),
      refusals: instruments.counter('corral.refusals'),
    }
    this.#disconnects = instruments.counter('corral.client.disconnects').bind()
  }

  finished(event: RequestFinished): void {
    const endedAt = performance.now()
    const seconds = (endedAt - event.startedAt) / 1000
    // Routes of the route table; `undefined` for an unknown path.
    const route = this.#routes.get(event.route ?? '') ?? this.#addRoute(event.route ?? '', event.operation?.genAiName)
    const http = this.#httpSeries(route, event)
    http.duration.observe(seconds)
    if (event.requestBytes !== undefined) http.requestBody.observe(event.requestBytes)
    if (event.responseBytes !== undefined) http.responseBody.observe(event.responseBytes)
    if (event.disconnected) this.#disconnects.add(1)
    const error = event.disconnected ? undefined : (event.error ?? event.failure)
    if (error instanceof ApiError && error.denial) this.#countRefusal(error)
    if (route.models && route.targets) {
      this.#measureResponse(event, this.#seriesOf(event, route.models, route.targets), { seconds, endedAt, error })
    }
  }

  #httpSeries(route: RouteSeries, { request, status, route: path }: RequestFinished): HttpSeries {
    const method = methods.has(request.method) ? request.method : '_OTHER'
    let byStatus = route.http.get(method)
    if (!byStatus) route.http.set(method, (byStatus = []))
    const known = byStatus[status]
    if (known) return known
    const text = String(status)
    const labels = [method, path ?? '', text, this.#options.scheme, status >= 500 ? text : ''] as const
    const { http, requestBody, responseBody } = this.#families
    const series = { duration: http.bind(...labels), requestBody: requestBody.bind(...labels), responseBody: responseBody.bind(...labels) }
    if (status > 0 && status < 1000) byStatus[status] = series
    return series
  }

  #seriesOf(event: RequestFinished, models: ByModel<ServerSeries>, targets: ByModel<ServerSeries>): ServerSeries {
    const { model = '', attempt } = event
    const provider = attempt?.provider ?? ''
    const id = provider === '' || this.#options.providers.has(provider) ? provider : overflowLabel
    return models.find(id, model) ?? (attempt === undefined ? models.get(id, model) : targets.get(id, attempt.model))
  }

  #measureResponse(
    event: RequestFinished,
    series: ServerSeries,
    { seconds, endedAt, error }: { seconds: number; endedAt: number; error: unknown },
  ): void {
    const { attempt, startedAt } = event
    if (error === undefined) series.succeeded.observe(seconds)
    else series.duration(errorTypeOf(error)).observe(seconds)
    if (attempt?.firstTokenAt === undefined) return
    const { firstTokenAt, outputTokens } = attempt
    series.firstToken.observe((firstTokenAt - startedAt) / 1000)
    if (error === undefined && outputTokens !== undefined && outputTokens > 1) {
      series.perToken.observe((endedAt - firstTokenAt) / 1000 / (outputTokens - 1))
    }
  }

  #countRefusal({ denial, code, type }: ApiError): void {
    if (!denial) return
    // The limits of keys are named by their owners: they share one label.
    const limit = denial.limit === null ? overflowLabel : (denial.limit ?? '')
    this.#families.refusals.bind(denial.by, code ?? type, limit).add(1)
  }

  #addRoute(path: string, operation: string | undefined): RouteSeries {
    const route: RouteSeries = { http: new Map(), ...this.#byModel(operation) }
    this.#routes.set(path, route)
    return route
  }

  #byModel(operation: string | undefined): Pick<RouteSeries, 'models' | 'targets'> {
    if (operation === undefined) return { models: undefined, targets: undefined }
    const { providers, models } = this.#options
    const { duration, firstToken, perToken } = this.#families
    const make = (provider: string, label: string): ServerSeries => {
      const name = provider === '' || provider === overflowLabel ? provider : (providers.get(provider) ?? provider)
      const set = [operation, name, provider, label] as const
      return {
        duration: (error) => duration.bind(...set, error),
        succeeded: duration.bind(...set, ''),
        firstToken: firstToken.bind(...set),
        perToken: perToken.bind(...set),
      }
    }
    return {
      models: new ByModel((_provider, requested) => models().catalogueIdOf(requested), make),
      targets: new ByModel((provider, upstream) => models().catalogueIdOfTarget(provider, upstream), make),
    }
  }
}

/**
 * `error.type`, of low cardinality: the status of the provider's response, `upstream_error` for an error in a successful response (a
 * stream that had begun, or JSON), else this server's own code or type. Never what a provider wrote.
 */
export function errorTypeOf(error: unknown): string {
  if (!(error instanceof ApiError)) return 'server_error'
  const { provider, code, type } = error
  if (provider) {
    const { status } = provider
    if (status >= 200 && status < 300) return 'upstream_error'
    return Number.isInteger(status) && status >= 100 && status < 600 ? String(status) : '_OTHER'
  }
  return code ?? (Object.hasOwn(errorStatus, type) ? type : '_OTHER')
}
