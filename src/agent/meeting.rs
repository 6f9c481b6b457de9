//! When an agent says how its controllers are to be met: once that is durable, and after the answer to
//! whoever wanted it so.

use crate::durable::{Change, Kind, Token};

use super::core::Agent;
use super::io::Output;

impl Agent {
    /// Looks whether controllers are to be met otherwise than before, and says so when it is time.
    pub(super) fn meet(&mut self, out: &mut Vec<Output>) {
        // Who meets its controllers as configured, and did so before, has nothing to say.
        let ways = self.local.take_ways().filter(|ways| ways.is_some() || self.own_ways);
        if let Some(ways) = ways {
            if ways.is_some() != self.own_ways {
                self.own_ways = ways.is_some();
                let change = match self.own_ways {
                    true => Change::put(Kind::Ways, "", vec![FORMAT]),
                    false => Change::delete(Kind::Ways, ""),
                };
                self.persist(vec![change], out);
            }
            self.meeting = Some((Token(self.next), ways));
        }
        if let Some((_, ways)) = self.meeting.take_if(|(token, _)| token.0 <= self.settled) {
            out.push(Output::Meet(ways));
        }
        out.extend(self.reconnects.drain(..).map(Output::Reconnect));
    }
}

/// Version of the stored form of [`Kind::Ways`], which has no more to say.
const FORMAT: u8 = 1;
