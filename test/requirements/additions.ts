import type { Requirements } from './requirement.ts'

/** Requests that work with a provider work through Corral: what it adds, and what it checks. */
export const additions: Requirements = {
  'ADD-1': {
    source: 'field report 24; design §6',
    when: 'a provider returns 400 or 422, or an error in a 2xx or as the first frame of a stream, and names a field that Corral added',
    observed: 'the request is sent again without the field, and the caller gets that response',
  },
  'ADD-2': {
    source: 'field report 24; design §6',
    when: 'a provider has accepted a request without a field that it refused before',
    observed: 'later requests to that model at that provider are sent without it at once; the number of remembered models is bounded',
  },
  'ADD-3': {
    source: 'field report 24',
    when: 'the provider refuses something else, with another status, or a field that the caller sent',
    observed: 'the request is sent once, and the caller gets the provider’s error',
  },
  'ADD-4': {
    source: 'field report 24; design §4',
    when: 'a request was sent again',
    observed:
      'quota and ledger have one request, usage that is not reported is estimated and marked, and the span and the log name the field',
  },
  'ADD-5': {
    source: 'field report 24; docs/configuration.md',
    when: '`stream_usage` is configured for a remote provider',
    observed: 'it decides whether usage is requested in streams, independently of the default of the provider type',
  },
  'ADD-6': {
    source: 'field report 50; OpenAI SDKs',
    when: 'a provider refuses `encoding_format: base64`',
    observed: 'the request is sent again without an encoding, and the caller gets floats as little-endian 32-bit floats in base64',
  },
  'ADD-7': {
    source: 'field report 40; design §3 rule 2',
    when: 'a request has a form that a vendor documents and OpenAI does not, in a field that Corral does not read',
    observed: 'it reaches the provider byte for byte; the published document stays complete',
  },
  'ADD-9': {
    source: 'behaviour §8; ollama/ollama#17921',
    when: '`tool_choice` is "none" and `tools` are sent',
    observed:
      'both reach the provider, except one that is known or configured to call tools all the same: both are left out, unless the messages hold tool calls',
  },
  'ADD-10': {
    source: 'behaviour §8',
    when: '`tool_choice` is sent without `tools`',
    observed: '400 with param `tool_choice`',
  },
  'ADD-8': {
    source: 'design §3 rule 2',
    when: 'a field that Corral reads (model, messages, stream, limits, inputs) has a wrong type',
    observed: '400 with `param`, and nothing is sent: no limit is got around',
  },
}
