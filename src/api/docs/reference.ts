import type { Dialect } from '../../dialects/dialect.ts'
import { createOpenApi } from '../../http/openapi.ts'
import type { AnyRoute } from '../../http/route.ts'

export interface ApiReference {
  /** The OpenAPI document as JSON text. Generated on first use, which takes tens of milliseconds. */
  openApi(): string
}

export function createApiReference<Deps>(routes: readonly AnyRoute<Deps>[], version: string, dialects: readonly Dialect[]): ApiReference {
  let text: string | undefined
  return {
    openApi: () => (text ??= JSON.stringify(createOpenApi(routes, { title: 'Corral', version, description }, dialects))),
  }
}

const description = `An AI gateway for all model providers.

The schemas are those that OpenAI publishes. Corral accepts more: unknown fields, content types, tools and formats, unlisted
enum values, and numbers outside the documented bounds are passed to the provider, which validates them.
An optional field can also be \`null\`, which is the same as leaving it out.

Every path under \`/v1/\` is also served under \`/v1/openai/v1/\`, as older clients of Llama Stack expect. All errors use one
envelope. Provider errors keep their status and message, and \`error.provider\` contains the original.`
