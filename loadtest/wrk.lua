-- Closed-loop load.
--   wrk ... -s wrk.lua URL -- HEADERS PIPELINE IDS   for loadtest/compare: HEADERS is a file of header lines; PIPELINE requests
--                                                    leave at once; with IDS above 0 each path ends with a random id
--   wrk ... -s wrk.lua URL -- HEADS                  for loadtest/run: HEADS is a file of whole request heads, sent in turn

local function in_turn(path)
   local file = assert(io.open(path, "rb"))
   local heads, place = {}, 0
   for head in file:read("*a"):gmatch("(.-\r\n\r\n)") do heads[#heads + 1] = head end
   file:close()
   return function()
      place = place % #heads + 1
      return heads[place]
   end
end

function init(args)
   if #args == 1 then
      request = in_turn(args[1])
      return
   end
   for line in io.lines(args[1]) do
      local name, value = line:match("^(.-): (.*)$")
      wrk.headers[name] = value
   end
   local pipeline, ids = tonumber(args[2]), tonumber(args[3])
   if pipeline > 1 then
      local batch = wrk.format():rep(pipeline)
      request = function() return batch end
   elseif ids > 0 then
      math.randomseed(1)
      local start, rest = wrk.format("GET", "/items/@"):match("^(.-)@(.*)$")
      request = function() return start .. math.random(0, ids - 1) .. rest end
   end
end

function done(summary, latency)
   local errors = summary.errors
   io.write(string.format(
      'figures {"requests": %d, "seconds": %.6f, "p50_us": %d, "p99_us": %d, ' ..
      '"errors": {"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}}\n',
      summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
      errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
