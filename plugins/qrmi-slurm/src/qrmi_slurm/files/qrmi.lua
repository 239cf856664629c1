-- @MARK@
-- Maps the ways to ask for a QPU to a licence, which Slurm counts, and to a word of the job's
-- comment, which the prolog reads. A site with a job_submit.lua of its own calls `submit` in
-- slurm_job_submit and `modify` in slurm_job_modify, and returns what they return unless that is
-- slurm.SUCCESS. It loads this file there by `dofile`: slurmctld does not see that it has changed.

local known = { @NAMES@ }
local qrmi = {}

-- Tells the user why, and gives what refuses the job.
local function refuse(text, ...)
    slurm.log_user("qrmi-slurm: " .. text, ...)
    return slurm.ESLURM_INVALID_LICENSES or slurm.ERROR
end

local function trim(text)
    return (text:gsub("^%s+", ""):gsub("%s+$", ""))
end

-- Adds names to a list in which each is once.
local function add(list, names)
    for name in names:gmatch("[^,]+") do
        name = trim(name)
        if name ~= "" and not list[name] then
            list[name] = true
            list[#list + 1] = name
        end
    end
end

-- The entry of the configuration: `entry:id` is one resource of a dynamic entry.
local function entry(name)
    return name:match("^[^:]*")
end

local function is_known(name)
    for _, other in ipairs(known) do
        if name == other or entry(name) == other then
            return true
        end
    end
    return false
end

-- The names in a comment, where a list may have spaces at its commas; gives the other words, and
-- whether there is a list.
local function from_comment(list, comment)
    local others, lists, goes_on = {}, {}, false
    for word in (comment or ""):gmatch("%S+") do
        local names, last = word:match("^qpu=(.*)$"), lists[#lists]
        if names then
            lists[#lists + 1] = names
            goes_on = true
        elseif goes_on and (last == "" or last:match(",$") or word:match("^,")) then
            lists[#lists] = last .. word
        else
            others[#others + 1] = word
            goes_on = false
        end
    end
    add(list, table.concat(lists, ","))
    return others, #lists > 0
end

-- The names among the licences; with their counts as they are.
local function from_licenses(list, licenses)
    local counted = {}
    for item in (licenses or ""):gmatch("[^,;]+") do
        local name = trim(item):match("^[^:@|]*")
        if is_known(name) then
            add(list, name)
            counted[name] = true
        end
    end
    return counted
end

-- The names among the generic resources, and the others; or nil, and what refuses the job.
local function from_gres(list, gres)
    local others = {}
    for item in (gres or ""):gmatch("[^,]+") do
        local what = trim(item):gsub("^gres[:/]", "")
        if what == "qpu" or what:match("^qpu:") then
            local name, count = what:match("^qpu:([^:]+):?(%d*)$")
            if not name or (name:match("^%d+$") and not is_known(name)) then
                return nil, refuse("name the QPU: --gres=qpu:NAME, of: %s", table.concat(known, ", "))
            end
            if count ~= "" and count ~= "1" then
                return nil, refuse("a job can have %s once: --gres=qpu:%s", name, name)
            end
            add(list, name)
        else
            others[#others + 1] = item
        end
    end
    return others
end

-- The value of --qpu, an option of the SPANK plugin; nil without it.
local function from_option(variables)
    for _, line in pairs(variables or {}) do
        local names = line:match("^_?SLURM_SPANK_OPTION_spank_qrmi_qpu=(.*)$")
        if names then
            return names
        end
    end
    return nil
end

function qrmi.submit(job)
    local names = {}
    local option = from_option(job.spank_job_env)
    if option then
        add(names, option)
    end
    local gres, refused = from_gres(names, job.tres_per_node)
    if not gres then
        return refused
    end
    local of_gres = #gres > 0 and table.concat(gres, ",") or ""
    local has_gres = of_gres ~= (job.tres_per_node or "")
    local counted = from_licenses(names, job.licenses)
    local words, asked = from_comment(names, job.comment)
    if #names == 0 then
        if option or asked then
            return refuse("--qpu or qpu= names no QPU; there are: %s", table.concat(known, ", "))
        end
        return slurm.SUCCESS
    end
    for _, name in ipairs(names) do
        if not is_known(name) then
            return refuse("there is no QPU %s; there are: %s", name, table.concat(known, ", "))
        end
    end
    if has_gres then
        if not job.script and (job.argc or 0) > 0 then
            return refuse("srun cannot ask for a QPU by --gres outside of a job; use --licenses=%s",
                table.concat(names, ","))
        end
        -- Of a device in the network there is one, not one a node.
        job.gres = of_gres
    end
    local licenses = (job.licenses and job.licenses ~= "") and { job.licenses } or {}
    local missing = {}
    for _, name in ipairs(names) do
        local licence = entry(name)
        if not counted[licence] then
            if not missing[licence] then
                missing[#missing + 1] = licence
            end
            missing[licence] = (missing[licence] or 0) + 1
        end
    end
    for _, licence in ipairs(missing) do
        licenses[#licenses + 1] = licence .. ":" .. missing[licence]
    end
    job.licenses = table.concat(licenses, ",")
    words[#words + 1] = "qpu=" .. table.concat(names, ",")
    job.comment = table.concat(words, " ")
    return slurm.SUCCESS
end

-- What a job has is settled when it is submitted. Slurm tells the user no words here.
function qrmi.modify(job, record)
    local function names(find, text)
        local list = {}
        find(list, text)
        table.sort(list)
        return table.concat(list, ",")
    end
    for key, find in pairs({ comment = from_comment, licenses = from_licenses }) do
        if job[key] and names(find, job[key]) ~= names(find, record[key]) then
            slurm.log_info("qrmi-slurm: the QPUs of a job cannot be changed")
            return slurm.ESLURM_INVALID_LICENSES or slurm.ERROR
        end
    end
    return slurm.SUCCESS
end

return qrmi
