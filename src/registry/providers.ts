import { systemCall, type Call } from '../call.ts'
import type { ProviderEntry } from '../config/config.ts'
import { ApiError } from '../errors.ts'
import type { Egress } from '../egress/egress.ts'
import { genAiNameOf, type ProviderOf, type ServedApi } from '../providers/provider.ts'
import { causeOf, type Events } from '../telemetry/events.ts'
import type { Log } from '../telemetry/logger.ts'
import { redact, redactText } from '../config/redact.ts'
import { withTimeout } from '../timing.ts'

/** A provider of the configuration, running or not, by its API. */
export type ProviderInstance<A extends ServedApi = ServedApi> = {
  readonly [Api in A]: InstanceFacts & {
    readonly api: Api
    /** Undefined when it could not be created. */
    readonly provider: ProviderOf<Api> | undefined
  }
}[A]

export type InferenceInstance = ProviderInstance<'inference'>

interface InstanceFacts {
  readonly id: string
  readonly type: string
  /** `gen_ai.provider.name`. */
  readonly genAiName: string
  /** Why it could not be created, without secrets. */
  readonly failure: string | undefined
  /** The configuration as it may be shown. */
  readonly shownConfig: Readonly<Record<string, unknown>>
  /** Whether the operator lets callers use this model (`allowed_models`; absent: all). Takes the provider's own id. */
  allows(upstreamId: string): boolean
  /** `allowed_models` as configured. */
  readonly allowedModels: readonly string[] | undefined
  /** Whether models are listed again and again (`refresh_models`). */
  readonly refreshModels: boolean
}

/** Health as `GET /v1/providers` shows it. */
export interface HealthCheckResult {
  status: 'OK' | 'Error' | 'Not Implemented'
  message?: string
}

export interface ProviderRegistry extends AsyncDisposable {
  /** In the configuration's order. */
  readonly all: readonly ProviderInstance[]
  get(id: string): ProviderInstance | undefined
  /**
   * Asks the provider now, with the caller's key where it brings one, else with the configured one.
   * Takes `healthTimeout` at most and never throws but for the caller's own leaving.
   */
  health(instance: ProviderInstance, call: Call): Promise<HealthCheckResult>
}

interface ProviderRegistryOptions {
  entries: readonly ProviderEntry[]
  egress: Egress
  log: Log
  events: Events
  /** Milliseconds that a health check may take. Default 2 s. */
  healthTimeout?: number
  /** Milliseconds that a provider gets to close. Default 5 s. */
  disposeTimeout?: number
}

/**
 * Creates every provider of the configuration. One that cannot be created is reported and stays listed as unhealthy; the others run.
 * Throws an Error when two providers of one API share an id.
 */
export function createProviderRegistry(options: ProviderRegistryOptions): ProviderRegistry {
  const { entries, events, healthTimeout = 2_000, disposeTimeout = 5_000 } = options
  const all = entries.map((entry) => createInstance(entry, options))
  const byId = new Map<string, ProviderInstance>()
  const names = new Set<string>()
  for (const instance of all) {
    const name = `${instance.api}/${instance.id}`
    if (names.has(name))
      throw new Error(`Two providers of the API '${instance.api}' have the id '${instance.id}'. Provider ids must be unique.`)
    names.add(name)
    if (!byId.has(instance.id)) byId.set(instance.id, instance)
  }
  const running = new Map<ProviderInstance, Promise<HealthCheckResult>>()
  return {
    all,
    get: (id) => byId.get(id),
    health(instance, call) {
      if (instance.provider?.acceptsKeyOf?.(call)) return checkHealth(instance, call, healthTimeout)
      // Checks under the server's own key are the same for everybody: those that ask while one runs share it.
      let check = running.get(instance)
      if (!check) {
        const own = systemCall(call.requestId, new AbortController().signal)
        check = checkHealth(instance, own, healthTimeout).finally(() => running.delete(instance))
        running.set(instance, check)
      }
      return check
    },
    async [Symbol.asyncDispose]() {
      for (const instance of all.toReversed()) {
        const close = instance.provider?.[Symbol.asyncDispose]?.bind(instance.provider)
        if (!close) continue
        try {
          await withTimeout(
            disposeTimeout,
            Promise.resolve(close()),
            () => new Error(`Provider '${instance.id}' did not close within ${disposeTimeout / 1000} s.`),
          )
        } catch (error) {
          events.unexpected(`closing provider '${instance.id}'`, error)
        }
      }
    },
  }
}

function createInstance(entry: ProviderEntry, { entries, egress, log, events }: ProviderRegistryOptions): ProviderInstance {
  const { id, type, definition, config } = entry
  const { api } = definition
  const settings = (typeof config === 'object' && config !== null ? config : {}) as Record<string, unknown>
  const allowed = Array.isArray(settings.allowed_models) ? settings.allowed_models.filter((name) => typeof name === 'string') : undefined
  const allowedSet = allowed && new Set(allowed)
  const facts = {
    id,
    type,
    api,
    genAiName: genAiNameOf(definition),
    shownConfig: redact(settings) as Record<string, unknown>,
    allowedModels: allowed,
    // An operator may write the catalogue's id as well as the provider's own.
    allows: (upstreamId: string) => !allowedSet || allowedSet.has(upstreamId) || allowedSet.has(`${id}/${upstreamId}`),
    refreshModels: settings.refresh_models === true,
  }
  try {
    const isOnlyProvider = entries.every((other) => other === entry || other.api !== api)
    const created = definition.create(config, {
      id,
      egress,
      log: log.child({ category: 'providers', provider: id }),
      isOnlyProvider,
    })
    // The definition's API is that of the provider which it creates.
    return { ...facts, provider: created, failure: undefined } as ProviderInstance
  } catch (error) {
    events.upstreamFailed(id, error)
    return { ...facts, provider: undefined, failure: redactText(causeOf(error)) }
  }
}

async function checkHealth({ id, provider, failure }: ProviderInstance, call: Call, limit: number): Promise<HealthCheckResult> {
  if (!provider) return { status: 'Error', message: `The provider failed to start: ${failure ?? 'unknown cause'}` }
  if (!provider.checkHealth) return { status: 'Not Implemented', message: 'This provider has no health check.' }
  if (!provider.hasOwnKey && !provider.acceptsKeyOf?.(call)) {
    return {
      status: 'Not Implemented',
      message: 'No key is configured. Send your own provider key to check this provider.',
    }
  }
  const stop = new AbortController()
  const signal = AbortSignal.any([call.signal, stop.signal])
  try {
    await withTimeout(
      limit,
      provider.checkHealth({ ...call, signal, abortListenable: undefined }),
      () => new Error(`No response within ${limit / 1000} s.`),
    )
    return { status: 'OK' }
  } catch (error) {
    call.signal.throwIfAborted()
    return { status: 'Error', message: redactText(healthError(id, error)) }
  } finally {
    stop.abort()
  }
}

/** What a provider says of its refusal seldom says what its status does. */
function healthError(id: string, error: unknown): string {
  const cause = causeOf(error)
  const status = error instanceof ApiError ? error.provider?.status : undefined
  return status === undefined || cause.includes(String(status)) ? cause : `Provider '${id}' returned ${status}: ${cause}`
}
