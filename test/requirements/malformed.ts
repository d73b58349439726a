import type { Requirements } from './requirement.ts'

/** Responses of providers that depart from OpenAI's schema or from HTTP. */
export const malformed: Requirements = {
  'MAL-1': {
    source: 'field report 27; field §1.2, §1.7',
    when: 'streamed tool calls lack `index`, `id`, `type` or a role, repeat them, or have arguments as an object',
    observed: 'both official clients read the calls that were meant, and each chunk has the published schema',
  },
  'MAL-2': {
    source: 'design §3, rule 14',
    when: 'the chunks or the choices of a response have the published schema',
    observed: 'the caller gets their bytes',
  },
  'MAL-3': {
    source: 'field report 27; openai-spec',
    when: 'a whole response lacks members of its choices that the schema requires',
    observed: 'they are added, and what cannot be repaired is a 502',
  },
  'MAL-4': {
    source: 'field report 26',
    when: 'every choice of a stream has its finish reason and no frame comes for two seconds, though the connection stays open',
    observed: 'the stream ends with [DONE], the request to the provider is aborted, and missing usage is estimated and marked so',
  },
  'MAL-5': {
    source: 'field report; docs/adding-a-provider.md',
    when: 'a body is an event stream, JSON, HTML or text, independently of its content type and of what was requested',
    observed: 'the caller gets what it requested, a stream or one response; HTML and text are a 502',
  },
  'MAL-6': {
    source: 'field report; openai-spec',
    when: 'a stream that was not requested is folded into one response',
    observed: 'it has all content of the stream: tool calls, log probabilities, usage, each choice, unknown fields',
  },
}
