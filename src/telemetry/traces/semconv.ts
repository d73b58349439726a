import type { Conventions } from '../config.ts'

/** Names that differ between the two versions of OpenTelemetry’s conventions; common ones are in the code. */
export interface Names {
  readonly schemaUrl: string
  /** Tokens of the input that were written to a cache. */
  readonly cacheWrite: string
  /** How hard the model is to think. */
  readonly reasoningLevel: string | undefined
  /** The response that the request continues. */
  readonly previousResponse: string | undefined
}

/**
 * `v1_41`: the last version in OpenTelemetry's main repository (semantic-conventions 1.41). `latest`: that of semantic-conventions-genai, which is not
 * released yet; enabled by `OTEL_SEMCONV_STABILITY_OPT_IN=gen_ai_latest_experimental`.
 */
export const names: Readonly<Record<Conventions, Names>> = {
  v1_41: {
    schemaUrl: 'https://opentelemetry.io/schemas/1.41.0',
    cacheWrite: 'gen_ai.usage.cache_creation.input_tokens',
    reasoningLevel: undefined,
    previousResponse: undefined,
  },
  latest: {
    schemaUrl: 'https://opentelemetry.io/schemas/gen-ai/1.42.0',
    cacheWrite: 'gen_ai.usage.cache_write.input_tokens',
    reasoningLevel: 'gen_ai.request.reasoning.level',
    previousResponse: 'gen_ai.request.previous_response.id',
  },
}
