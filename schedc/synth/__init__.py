"""From a goal to a proved and measured policy: goals, agents, engines, runs."""
