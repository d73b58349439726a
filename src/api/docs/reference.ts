import { createOpenApi } from '../../http/openapi.ts'
import type { AnyRoute } from '../../http/route.ts'

export interface ApiReference {
  /** The OpenAPI document as JSON text. Made when it is first asked for, since that takes tens of milliseconds. */
  openApi(): string
}

export function createApiReference<Deps>(routes: readonly AnyRoute<Deps>[], version: string): ApiReference {
  let text: string | undefined
  return {
    openApi: () => (text ??= JSON.stringify(createOpenApi(routes, { title: 'Corral', version, description }))),
  }
}

const description = `One gate to every model.

What is shown is what OpenAI publishes. More is accepted: unknown fields, unknown kinds of content, tools and formats, and
other values of the strings that are listed travel to the provider, and so do numbers outside the bounds shown; what it makes of them is its own to say.
An optional field may also be \`null\`, which is the same as leaving it out.

Every path under \`/v1/\` also answers under \`/v1/openai/v1/\`, as older clients of Llama Stack expect. Errors have one
envelope everywhere; where a provider answered with an error, its own status and message are passed on and \`error.provider\` holds the original.`
