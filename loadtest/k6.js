// Plays a plan of loadtest/run by k6, with thresholds of the same objectives:
//
//   loadtest/run --json http://127.0.0.1:8080 steady > plan.json
//   k6 run --no-usage-report -e PLAN=plan.json loadtest/k6.js
//
// PLAN is relative to where k6 was started. A plan that reloads needs -e ADMIN=URL and -e TOKEN_FILE=FILE. What k6 cannot do
// it refuses or says: slow clients, the server's CPU time and memory, and how much the server can answer, since k6 itself
// needs far more CPU for a request.

import { SharedArray } from 'k6/data';
import exec from 'k6/execution';
import http from 'k6/http';
import { Counter, Rate } from 'k6/metrics';

if (!__ENV.PLAN) throw new Error('-e PLAN=FILE is missing: loadtest/run --json TARGET_URL SCENARIO > FILE');
const beside = (file) => (file.startsWith('/') ? file : `${__ENV.PWD}/${file}`);
const plan = JSON.parse(open(beside(__ENV.PLAN)));
// Once for all VUs.
const requests = new SharedArray('requests', () => plan.requests);
delete plan.requests;
const isOpenLoop = plan.engine === 'vegeta';
if (plan.slow) throw new Error(`${plan.scenario} has clients that read and write byte by byte, which k6 cannot: loadtest/run`);
if (plan.reload && !(__ENV.ADMIN && __ENV.TOKEN_FILE)) throw new Error(`${plan.scenario} reloads: -e ADMIN=URL -e TOKEN_FILE=FILE`);
const token = plan.reload && open(beside(__ENV.TOKEN_FILE)).trim();

const wrong = new Rate('wrong_answers');
const reloadFailures = new Counter('reload_failures');

const seconds = plan.stages.reduce((sum, stage) => sum + stage.seconds, 0);
const milliseconds = (value) => `${Math.round(value * 1000)}ms`;
const rates = plan.stages.map((stage) => stage.rate);
const planned = plan.stages.reduce((sum, stage) => sum + stage.rate * stage.seconds, 0);

// k6 ends a run that misses a threshold with 99.
const THRESHOLDS = {
  p50_ms: (bound) => ['http_req_duration{kind:load}', `p(50)<=${bound}`],
  p99_ms: (bound) => ['http_req_duration{kind:load}', `p(99)<=${bound}`],
  p999_ms: (bound) => ['http_req_duration{kind:load}', `p(99.9)<=${bound}`],
  error_share: (bound) => ['wrong_answers', `rate<=${bound}`],
  reload_failures: (bound) => ['reload_failures', `count<=${bound}`],
};

function thresholds() {
  // What loadtest/run calls a rate that was not held: more than a hundredth, and than a tenth of a second, was not sent.
  const unsent = Math.floor(Math.max(0.01 * planned, 0.1 * Math.max(...rates)));
  const found = isOpenLoop ? { dropped_iterations: [`count<=${unsent}`] } : {};
  for (const objective of plan.objectives) {
    const threshold = THRESHOLDS[objective.name];
    if (!threshold) continue;
    const [metric, condition] = threshold(objective.bound);
    (found[metric] = found[metric] || []).push(condition);
  }
  return found;
}

// A stage is a step, not a slope: the rate is reached in no time, and then held.
function stages() {
  return plan.stages.flatMap((stage) => [
    { target: stage.rate, duration: '0s' },
    { target: stage.rate, duration: milliseconds(stage.seconds) },
  ]);
}

function scenarios() {
  const load = isOpenLoop
    ? {
        executor: 'ramping-arrival-rate',
        startRate: rates[0],
        timeUnit: '1s',
        preAllocatedVUs: plan.connections,
        // A VU waits for its answer, so that where the server is slow it takes more of them, each with a connection.
        maxVUs: plan.connections + Math.ceil(Math.max(...rates) * plan.timeout_seconds),
        stages: stages(),
      }
    : { executor: 'constant-vus', vus: plan.connections, duration: milliseconds(seconds) };
  const found = { load: { ...load, exec: 'load', gracefulStop: milliseconds(plan.timeout_seconds), tags: { kind: 'load' } } };
  if (plan.reload) {
    found.reload = {
      executor: 'constant-arrival-rate',
      exec: 'reload',
      rate: 1,
      timeUnit: milliseconds(plan.reload.every_seconds),
      duration: milliseconds(seconds),
      preAllocatedVUs: 1,
      maxVUs: 4,
      tags: { kind: 'reload' },
    };
  }
  return found;
}

export const options = {
  scenarios: scenarios(),
  thresholds: thresholds(),
  summaryTrendStats: ['p(50)', 'p(99)', 'p(99.9)', 'max'],
  discardResponseBodies: true,
  maxRedirects: 0,
};

export function setup() {
  for (const objective of plan.objectives) {
    if (!THRESHOLDS[objective.name]) console.warn(`NOT JUDGED: ${objective.name}: loadtest/run does`);
  }
}

export function load() {
  const request = requests[exec.scenario.iterationInTest % requests.length];
  const answer = http.request(request.method, request.url, null, {
    headers: request.headers,
    timeout: milliseconds(plan.timeout_seconds),
    // Not the address: with one series an id k6 would need more memory than the server.
    tags: { name: request.route },
    responseCallback: http.expectedStatuses(request.status),
  });
  wrong.add(answer.status !== request.status);
}

export function reload() {
  const answer = http.post(`${__ENV.ADMIN}/-/reload`, null, { headers: { Authorization: `Bearer ${token}` } });
  reloadFailures.add(answer.status === 200 ? 0 : 1);
}
