import { routesFor, type AnyRoute } from '../http/route.ts'
import type { ModelCatalog } from '../registry/models.ts'
import type { ProviderRegistry } from '../registry/providers.ts'
import type { Log } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics/create-metrics.ts'
import type { CheckImageUrls } from './chat/image-urls.ts'
import type { ApiReference } from './docs/reference.ts'
import type { Readiness } from './health/readiness.ts'
import type { KeyService } from './keys/service.ts'
import type { InferenceDeps } from '../inference/execute.ts'
import type { StreamTimes } from '../inference/response.ts'
import type { Resources } from './resource.ts'
import type { TraceQueries } from './telemetry/service.ts'

/** What handlers may use; built in `services.ts`. */
export interface ApiDeps {
  /** For `execute`. */
  readonly inference: InferenceDeps
  readonly models: ModelCatalog
  readonly providers: ProviderRegistry
  /** Corral's own API keys. Absent: no authentication is configured. */
  readonly keys?: KeyService | undefined
  /** The services of the other resources. */
  readonly resources: Resources
  /** Absent: no traces are kept. */
  readonly traces?: TraceQueries | undefined
  readonly checkImageUrls: CheckImageUrls
  readonly readiness: Readiness
  /** Absent: nothing is counted. */
  readonly metrics?: Metrics | undefined
  /** Every route that is served. */
  readonly routes: readonly AnyRoute<ApiDeps>[]
  /** What describes the routes to people and programs. */
  readonly reference: ApiReference
  /** The server's own. */
  readonly version: string
  readonly log: Log
  /** Absent: the defaults. */
  readonly streams?: StreamTimes | undefined
}

const define = routesFor<ApiDeps>()

/** A route of Corral's API. Paths under `/v1/` are also served, as deprecated, under Llama Stack's older `/v1/openai/v1/`; those of another dialect are not. */
export const defineRoute: typeof define = (route) =>
  define(route.dialect ? route : { ...route, aliases: [...(route.aliases ?? []), ...legacyPathsOf(route)] })

function legacyPathsOf({ path, equivalents = [], aliases = [] }: Pick<AnyRoute<ApiDeps>, 'path' | 'equivalents' | 'aliases'>) {
  const current = [path, ...equivalents, ...aliases].filter((one) => one.startsWith('/v1/') && !one.startsWith('/v1/openai/'))
  return current.map((one): `/${string}` => `/v1/openai${one}`)
}

/** Of requests that are relayed: each name in `models` is looked up. */
export const relayedSmallFields = ['metadata', 'models'] as const
